/** Texts that tokenizers get wrong: scripts, marks, white space, literal tokens, and seeded mixtures of them. */
import { seededRandom } from "./random.js";

const FRAGMENTS: readonly string[] = [
  ..."[MASK]|<s>|</s>|<mask>|<|end|>|<|endoftext|>|[CLS]|<pad>|<extra_id_0>|<unk>|left|right|one|Café|##ing".split(
    "|",
  ),
  ..."un|ing| the| a|'s|'ll|'RE|'|’s|  |   |\n|\n\n|\t|\r\n|\u00a0|\u0085|\ufeff|\u200b|\u200d|\u00ad|\u2028|\u000b".split(
    "|",
  ),
  ..."e\u0301|é|ß|İ|ı|ſ|Σ|ς|ΑΣ|日本|中文|한국|\u1100\u1161\u11a8|👍🏽|👨‍👩‍👧|🇩🇪|ﬁ|Ａ|１|½|²|١٢|नमस्ते|ไทย|שָׁלוֹם|العربية".split(
    "|",
  ),
  ..."z̸̛|𝔸|𠀀|豈|\u0000|\u0007|-------|!!!!|1234567|...|https://x.y/z?q=1|\ue000|▁|Ġ|</w>|<0x41>|\ufffd|`code`|$x^2".split(
    "|",
  ),
];

/** One text for each trap. */
export const ODD_TEXTS: readonly string[] = [
  "",
  " ",
  "   leading and trailing   ",
  "Hello, world! It's a test; isn't it? We'll see. DON'T SHOUT'S",
  "a".repeat(300),
  "ab".repeat(400),
  `${"word ".repeat(50)}\n\n\n${"tail ".repeat(3)}`,
  "for (let i = 0; i < 10; i++) { console.log(`<b>{i}</b>`); }",
  "ΟΔΥΣΣΕΥΣ ΣΑΣ. İstanbul Straße ﬁne ＦＵＬＬ",
  "日本語のテキスト、中文文本。한국어",
  "שָׁלוֹם עולם العربية \u202eabc\u202c ไทยแลนด์ नमस्ते",
  "👍🏽 👨‍👩‍👧 🇩🇪🇫🇷 𝔘𝔫𝔦 𠀀",
  "\u0000\u0001 \u0085 \ufeff \u200b \u00ad \u2028",
  ...FRAGMENTS,
];

/** Seeded mixtures of letters, fragments, marks and code points of every plane that has any. */
export function mixedTexts(count: number, seed: number): string[] {
  const next = seededRandom(seed);
  const below = (limit: number): number => Math.floor(next() * limit);
  const makers: readonly (() => string)[] = [
    () => String.fromCharCode(32 + below(95)),
    () => String.fromCharCode(97 + below(26)),
    () => FRAGMENTS[below(FRAGMENTS.length)]!,
    () => " ",
    () => assigned(below(0x3000)),
    () => assigned(below(0x20000)),
    () => String.fromCharCode(0x300 + below(0x70)),
  ];
  return Array.from({ length: count }, () =>
    Array.from({ length: below(40) }, () => makers[below(makers.length)]!()).join(""),
  );
}

const SYLLABLES =
  "ba be ca de do en er fa ga ge in it ka la le li ma me mi na ne no on or pa re ri sa se si ta te ti to un ve".split(
    " ",
  );
const MARKS = [".", ",", ";", ":", "!", "?", " (", ")", '"', "`", " - ", "/", "'s", "'ll", "n't"];

/** Seeded lines in a language of its own: words that recur as in prose, numbers, capitals, punctuation, code. */
export function proseLines(count: number, seed: number): string[] {
  const next = seededRandom(seed);
  const below = (limit: number): number => Math.floor(next() * limit);
  const words = Array.from({ length: 1500 }, () =>
    Array.from({ length: 1 + below(4) }, () => SYLLABLES[below(SYLLABLES.length)]!).join(""),
  );
  const word = (): string => {
    // Frequent words come first, as in Zipf's law.
    const made = words[Math.floor(words.length ** next()) - 1]!;
    const shape = below(24);
    if (shape === 0) return String(below(10 ** (1 + below(6))));
    if (shape === 1) return made.toUpperCase();
    if (shape === 2) return `${made}_${words[below(words.length)]!}`;
    return shape < 5 ? made[0]!.toUpperCase() + made.slice(1) : made;
  };
  return Array.from({ length: count }, () =>
    Array.from(
      { length: 4 + below(24) },
      () => word() + (below(6) === 0 ? MARKS[below(MARKS.length)]! : ""),
    ).join(" "),
  );
}

/** Code points that this engine's Unicode does not know are left to the newest tables. */
function assigned(point: number): string {
  const text = String.fromCodePoint(point);
  return (point >= 0xd800 && point < 0xe000) || /\p{Cn}/u.test(text) ? "x" : text;
}
