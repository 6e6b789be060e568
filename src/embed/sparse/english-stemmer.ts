/** Stems of English words, by the algorithm that Snowball calls English (Porter2, snowballstem.org/algorithms/english). */

const VOWELS = "aeiouy";
/** Endings of which the last letter goes. */
const DOUBLES = ["bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt"];
/** What may stand before `li`. */
const LI = "cdeghkmnrt";

const WHOLE: ReadonlyMap<string, string> = new Map([
  ["skis", "ski"],
  ["skies", "sky"],
  ["dying", "die"],
  ["lying", "lie"],
  ["tying", "tie"],
  ["idly", "idl"],
  ["gently", "gentl"],
  ["ugly", "ugli"],
  ["early", "earli"],
  ["only", "onli"],
  ["singly", "singl"],
  ...["sky", "news", "howe", "atlas", "cosmos", "bias", "andes"].map((word): [string, string] => [
    word,
    word,
  ]),
]);
const AFTER_PLURAL: ReadonlySet<string> = new Set([
  "inning",
  "outing",
  "canning",
  "herring",
  "earring",
  "proceed",
  "exceed",
  "succeed",
]);

/** A suffix, what takes its place, and what must stand before it where not anything may. */
type Rule = readonly [suffix: string, replacement: string, before?: string];

const SECOND: readonly Rule[] = [
  ["ational", "ate"],
  ["tional", "tion"],
  ["enci", "ence"],
  ["anci", "ance"],
  ["abli", "able"],
  ["entli", "ent"],
  ["ization", "ize"],
  ["izer", "ize"],
  ["ation", "ate"],
  ["ator", "ate"],
  ["alism", "al"],
  ["aliti", "al"],
  ["alli", "al"],
  ["fulness", "ful"],
  ["ousli", "ous"],
  ["ousness", "ous"],
  ["iveness", "ive"],
  ["iviti", "ive"],
  ["biliti", "ble"],
  ["bli", "ble"],
  ["ogi", "og", "l"],
  ["fulli", "ful"],
  ["lessli", "less"],
  ["li", "", LI],
];

const THIRD: readonly Rule[] = [
  ["ational", "ate"],
  ["tional", "tion"],
  ["alize", "al"],
  ["icate", "ic"],
  ["iciti", "ic"],
  ["ical", "ic"],
  ["ful", ""],
  ["ness", ""],
  ["ative", ""],
];

const FOURTH: readonly Rule[] = [
  ...[
    "al",
    "ance",
    "ence",
    "er",
    "ic",
    "able",
    "ible",
    "ant",
    "ement",
    "ment",
    "ent",
    "ism",
    "ate",
    "iti",
  ].map((suffix): Rule => [suffix, ""]),
  ...["ous", "ive", "ize"].map((suffix): Rule => [suffix, ""]),
  ["ion", "", "st"],
];

/** The stem of a word in lower case. */
export function englishStem(given: string): string {
  const whole = WHOLE.get(given);
  if (whole !== undefined) return whole;
  if (given.length <= 2) return given;
  let word = marked(given.startsWith("'") ? given.slice(1) : given);
  const [first, second] = regions(word);
  word = word.replace(/'s'$|'s$|'$/, "");
  word = plural(word);
  if (AFTER_PLURAL.has(word)) return word;
  word = past(word, first);
  word = word.replace(/(?<=.[^aeiouy])[yY]$/s, "i");
  word = replaced(word, SECOND, () => first);
  word = replaced(word, THIRD, (suffix) => (suffix === "ative" ? Math.max(first, second) : first));
  word = replaced(word, FOURTH, () => second);
  return last(word, first, second).toLowerCase();
}

function isVowel(letter: string | undefined): boolean {
  return letter !== undefined && letter !== "" && VOWELS.includes(letter);
}

/** Each y that is a consonant as Y. */
function marked(word: string): string {
  let out = "";
  for (const letter of word) out += letter === "y" && (out === "" || isVowel(out.at(-1))) ? "Y" : letter;
  return out;
}

/** Where the part behind the first consonant after a vowel begins, and the same within it. */
function regions(word: string): readonly [first: number, second: number] {
  const behind = (from: number): number => {
    let at = from;
    while (at < word.length && !isVowel(word[at])) at++;
    while (at < word.length && isVowel(word[at])) at++;
    return Math.min(at + 1, word.length);
  };
  const prefix = /^(gener|commun|arsen)/.exec(word)?.[0];
  const first = prefix === undefined ? behind(0) : prefix.length;
  return [first, behind(first)];
}

function hasVowel(word: string): boolean {
  return [...word].some(isVowel);
}

/** Whether a word ends in a short syllable. */
function endsShort(word: string): boolean {
  const [c, b, a] = [word.at(-1), word.at(-2), word.at(-3)];
  if (c === undefined || isVowel(c) || !isVowel(b)) return false;
  return a === undefined ? word.length === 2 : !isVowel(a) && !"wxY".includes(c);
}

function plural(word: string): string {
  if (word.endsWith("sses")) return word.slice(0, -2);
  if (/(ied|ies)$/.test(word)) return word.length > 4 ? word.slice(0, -2) : word.slice(0, -1);
  if (/(us|ss)$/.test(word) || !word.endsWith("s")) return word;
  return hasVowel(word.slice(0, -2)) ? word.slice(0, -1) : word;
}

function past(word: string, first: number): string {
  const eed = /eed(ly)?$/.exec(word);
  if (eed !== null) return eed.index >= first ? `${word.slice(0, eed.index)}ee` : word;
  const found = /(ed|ing)(ly)?$/.exec(word);
  if (found === null || !hasVowel(word.slice(0, found.index))) return word;
  const rest = word.slice(0, found.index);
  if (/(at|bl|iz)$/.test(rest)) return `${rest}e`;
  if (DOUBLES.includes(rest.slice(-2))) return rest.slice(0, -1);
  return rest.length <= first && endsShort(rest) ? `${rest}e` : rest;
}

/** The longest suffix of the rules, replaced where it lies in its region and stands behind what it asks for. */
function replaced(word: string, rules: readonly Rule[], region: (suffix: string) => number): string {
  let longest: Rule | undefined;
  for (const rule of rules)
    if (word.endsWith(rule[0]) && rule[0].length > (longest?.[0].length ?? 0)) longest = rule;
  if (longest === undefined) return word;
  const [suffix, replacement, before] = longest;
  const at = word.length - suffix.length;
  if (at < region(suffix)) return word;
  if (before !== undefined && (at === 0 || !before.includes(word[at - 1]!))) return word;
  return word.slice(0, at) + replacement;
}

function last(word: string, first: number, second: number): string {
  const at = word.length - 1;
  if (word.endsWith("e")) {
    const rest = word.slice(0, at);
    return at >= second || (at >= first && !endsShort(rest)) ? rest : word;
  }
  return word.endsWith("l") && at >= second && word[at - 1] === "l" ? word.slice(0, at) : word;
}
