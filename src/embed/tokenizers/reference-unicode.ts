/**
 * Where the reference's character tables, which are of older versions of Unicode, differ from the running engine's: code
 * points in hexadecimal, ranges with a hyphen.
 */
const NEW_DIGITS = "11de0-11de9 16ff4-16ff6";

export const REFERENCE_UNICODE = {
  /** Assigned since version 17, without any property there, but for the numbers that are digits there, too. */
  unassigned:
    "88f c5c cdc 1acf-1add 1ae0-1aeb 20c1 2b96 a7ce-a7cf a7d2 a7d4 a7f1 fbc3-fbd2 fd90-fd91 fdc8-fdce " +
    "10940-10959 10ec5-10ec7 10ed0-10ed8 10efa-10efb 11b60-11b67 11db0-11ddb 11de0-11de9 16ea0-16eb8 " +
    "16ebb-16ed3 16ff2-16ff6 187f8-187ff 18d09-18d1e 18d80-18df2 1ccfa-1ccfc 1ceba-1ced0 1cee0-1cef0 " +
    "1e6c0-1e6de 1e6e0-1e6f5 1e6fe-1e6ff 1f6d8 1f777-1f77a 1f8d0-1f8d8 1fa54-1fa57 1fa8a 1fa8e 1fac8 " +
    "1facd 1faea 1faef 1fbfa 2b73a-2b73f 2cea2-2cead 323b0-33479",
  newDigits: NEW_DIGITS,
  /** Decomposed here, not there. */
  notDecomposed: "105c9 105e4 11383 11385 1138e 11391 113c5 113c7-113c8 11938 16121-16128 16d68-16d6a",
  /** Decomposed here for compatibility only, not there. */
  notCompatible:
    "32ff a7f1-a7f4 ab69 10781-10785 10787-107b0 107b2-107ba 1ccd6-1ccf9 1e030-1e06d 1f16c 1fbf0-1fbf9",
  /** Marks here, no combining marks there; and the other way round. */
  notCombining:
    "7fd 897-89f 8ca-8d3 9fe afa-aff b55 c04 c3c cf3 d00 d3b-d3c d81 eba ece 1715 180f 1abf-1add " +
    "1ae0-1aeb 1cf7 1df6-1dfa a82c a8ff 10d24-10d27 10d69-10d6d 10eab-10eac 10efa-10eff 10f46-10f50 " +
    "10f82-10f85 11070 11073-11074 110c2 11145-11146 111c9 111ce-111cf 11241 1133b 113b8-113c0 113c2 " +
    "113c5 113c7-113ca 113cc-113d0 113d2 113e1-113e2 1145e 1182c-1183a 11930-11935 11937-11938 " +
    "1193b-1193e 11940 11942-11943 119d1-119d7 119da-119e0 119e4 11a01-11a0a 11a33-11a39 11a3b-11a3e " +
    "11a47 11a51-11a5b 11a8a-11a99 11b60-11b67 11d31-11d36 11d3a 11d3c-11d3d 11d3f-11d45 11d47 " +
    "11d8a-11d8e 11d90-11d91 11d93-11d97 11ef3-11ef6 11f00-11f01 11f03 11f34-11f3a 11f3e-11f42 11f5a " +
    "13440 13447-13455 1611e-1612f 16f4f 16f7f-16f87 16fe4 16ff0-16ff1 1cf00-1cf2d 1cf30-1cf46 1e08f " +
    "1e130-1e136 1e2ae 1e2ec-1e2ef 1e4ec-1e4ef 1e5ee-1e5ef 1e6e3 1e6e6 1e6ee-1e6ef 1e6f5",
  alsoCombining: "1cf2-1cf3",
} as const;

/** The ranges of one of these texts, both ends included. */
export function rangesOf(text: string): readonly (readonly [first: number, last: number])[] {
  return text.split(" ").map((range) => {
    const [first, last = first] = range.split("-").map((digits) => Number.parseInt(digits, 16));
    return [first!, last!] as const;
  });
}

/** The ranges as a set of a regular expression. */
export function setOf(text: string): string {
  return `[${rangesOf(text)
    .map(([first, last]) => `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`)
    .join("")}]`;
}

const UNASSIGNED = setOf(REFERENCE_UNICODE.unassigned);

/** Characters of words in the reference's two engines, which differ in joiners and in the numbers of Latin-1. */
export const WORD_CHARACTERS = `[[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u200c\\u200d]--${UNASSIGNED}]`;
const EXPRESSION_WORDS = `[[\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\u{b2}\\u{b3}\\u{b9}\\u{bc}-\\u{be}]--${UNASSIGNED}]`;

/** A property as a set of a regular expression with the flag `v`; "word" for `\w`. */
export function classText(property: string, negated: boolean): string {
  let text: string;
  if (property === "White_Space") text = "\\p{White_Space}";
  else if (property === "word") text = EXPRESSION_WORDS;
  else if (property === "C" || property === "Cn") text = `[\\p{${property}}${UNASSIGNED}]`;
  // A letter that version 17 moved.
  else if (property === "Ll") text = `[[\\p{Ll}\\u{295}]--${UNASSIGNED}]`;
  else if (property === "Lo") text = `[\\p{Lo}--[\\u{295}${UNASSIGNED}]]`;
  else text = `[\\p{${property}}--${UNASSIGNED}]`;
  return negated ? `[^${text}]` : text;
}
