/** Classes of characters as the reference tokenizers see them, looked up by UTF-16 unit or code point. */
import { REFERENCE_UNICODE, rangesOf, WORD_CHARACTERS } from "./reference-unicode.js";

export const LETTER = 1;
export const NUMBER = 2;
/** The property White_Space, which is not JavaScript's `\s`: U+0085 is in, U+FEFF is out. */
export const SPACE = 4;
/** ASCII punctuation and symbols, and the categories P*. */
export const PUNCTUATION = 8;
/** The category Mn. */
export const NONSPACING = 16;
/** The categories Cc, Cf and Co. */
export const OTHER = 32;
/** Characters that BERT sets apart as words of their own. */
export const IDEOGRAPH = 64;
/** Characters of words: alphabetic, marks, decimal digits, connectors and joiners. */
export const WORD = 128;

const EXCEPTIONS: readonly (readonly [flag: number, text: string, set: boolean])[] = [
  [LETTER | NUMBER | WORD, REFERENCE_UNICODE.unassigned, false],
  [OTHER, REFERENCE_UNICODE.notOther, false],
  [PUNCTUATION, REFERENCE_UNICODE.notPunctuation, false],
  [PUNCTUATION, REFERENCE_UNICODE.alsoPunctuation, true],
  [NONSPACING, REFERENCE_UNICODE.notNonspacing, false],
  [NONSPACING, REFERENCE_UNICODE.alsoNonspacing, true],
];

const PATTERNS: readonly (readonly [flag: number, pattern: string])[] = [
  [LETTER, "\\p{L}"],
  [NUMBER, "\\p{N}"],
  [SPACE, "\\p{White_Space}"],
  [PUNCTUATION, "[!-\\/:-@\\[-`\\{-~\\p{P}]"],
  [NONSPACING, "\\p{Mn}"],
  [OTHER, "[\\p{Cc}\\p{Cf}\\p{Co}]"],
  [WORD, WORD_CHARACTERS],
];

// The first is U+2B920, not the block's U+2B820, in the reference; its behaviour is the one to copy.
const IDEOGRAPHS: readonly (readonly [first: number, last: number])[] = [
  [0x4e00, 0x9fff],
  [0x3400, 0x4dbf],
  [0x20000, 0x2a6df],
  [0x2a700, 0x2b73f],
  [0x2b740, 0x2b81f],
  [0x2b920, 0x2ceaf],
  [0xf900, 0xfaff],
  [0x2f800, 0x2fa1f],
];

let exceptions: readonly (readonly [flag: number, first: number, last: number, set: boolean])[] = [];
let table: Uint8Array | undefined;
let single: readonly RegExp[] = [];
const astral = new Map<number, number>();
const MOST_ASTRAL = 20_000;

/** Flags of every UTF-16 unit; surrogates have none. Made once, in about 10 ms. */
export function classes(): Uint8Array {
  if (table !== undefined) return table;
  const made = new Uint8Array(65536);
  const units = new Uint16Array(65536);
  for (let i = 0; i < 65536; i++) units[i] = (i & 0xf800) === 0xd800 ? 0x61 : i;
  let all = "";
  for (let i = 0; i < 65536; i += 8192)
    all += String.fromCharCode.apply(null, units.subarray(i, i + 8192) as never);
  for (const [flag, pattern] of PATTERNS) {
    for (const run of all.matchAll(new RegExp(`${pattern}+`, "gv"))) {
      for (let i = run.index; i < run.index + run[0].length; i++) made[i]! |= flag;
    }
  }
  exceptions = EXCEPTIONS.flatMap(([flag, text, set]) =>
    rangesOf(text).map(([first, last]) => [flag, first, last, set] as const),
  );
  for (const [flag, first, last, set] of exceptions) {
    for (let i = first; i <= last && i < 65536; i++) made[i] = set ? made[i]! | flag : made[i]! & ~flag;
  }
  made.fill(0, 0xd800, 0xe000);
  for (const [first, last] of IDEOGRAPHS)
    if (last < 65536) for (let i = first; i <= last; i++) made[i]! |= IDEOGRAPH;
  single = PATTERNS.map(([, pattern]) => new RegExp(pattern, "v"));
  table = made;
  return made;
}

/** Flags of a code point. */
export function classOf(codePoint: number): number {
  const units = classes();
  if (codePoint < 65536) return units[codePoint]!;
  let flags = astral.get(codePoint);
  if (flags !== undefined) return flags;
  const text = String.fromCodePoint(codePoint);
  flags = 0;
  for (let i = 0; i < PATTERNS.length; i++) if (single[i]!.test(text)) flags |= PATTERNS[i]![0];
  for (const [flag, first, last, set] of exceptions) {
    if (codePoint >= first && codePoint <= last) flags = set ? flags | flag : flags & ~flag;
  }
  if (IDEOGRAPHS.some(([first, last]) => codePoint >= first && codePoint <= last)) flags |= IDEOGRAPH;
  if (astral.size >= MOST_ASTRAL) astral.clear();
  astral.set(codePoint, flags);
  return flags;
}
