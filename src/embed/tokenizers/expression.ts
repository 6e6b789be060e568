/** Regular expressions of tokenizer.json, which are written for Oniguruma, in JavaScript's terms. */
import { invalid, isPart, type Part, textAt, unsupported } from "./parts.js";
import { classText } from "./reference-unicode.js";

/** Longer ones are not read: those of real tokenizers have a few hundred characters. */
const LONGEST = 4096;
const DEEPEST = 16;
/** Loops without an upper bound in one branch; each may cost a factor of the text's length. */
const MOST_LOOPS = 3;

/**
 * The same language as a global JavaScript expression. Throws TOKENIZER_UNSUPPORTED for what has no equal here, and
 * FILE_INVALID for loops in loops, which can take time exponential in the text.
 */
function expression(source: string): RegExp {
  if (source.length > LONGEST) throw invalid(`a regular expression of ${source.length} characters`);
  const translated = new Translator(source).whole();
  try {
    return new RegExp(translated, "gv");
  } catch (cause) {
    throw unsupported(`regular expression ${source}`, cause);
  }
}

/** A pattern as tokenizers write it, `{"String": …}` or `{"Regex": …}`, as a global expression. */
export function patternAt(part: Part, key: string): RegExp {
  const pattern = part[key];
  const text = isPart(pattern) ? pattern.String : pattern;
  if (typeof text === "string") return new RegExp([...text].map(escaped).join(""), "gv");
  if (!isPart(pattern)) throw invalid(`"${key}" is not a pattern`);
  return expression(textAt(pattern, "Regex"));
}

/** Matches from the left as the reference finds them: an empty one right behind another is none. */
export function* matchesOf(text: string, pattern: RegExp): Generator<readonly [start: number, end: number]> {
  let last = -1;
  for (const match of text.matchAll(pattern)) {
    const end = match.index + match[0].length;
    if (match[0] === "" && match.index === last) continue;
    last = end;
    yield [match.index, end];
  }
}

function escaped(character: string): string {
  return /^[A-Za-z0-9]$/.test(character) ? character : `\\u{${character.codePointAt(0)!.toString(16)}}`;
}

interface Piece {
  readonly text: string;
  /** Loops without an upper bound on the longest branch. */
  readonly loops: number;
  /** Repeats something without an upper bound, also inside. */
  readonly endless: boolean;
  /** Takes a text in one way only: no choices, and no numbers of repetitions. */
  readonly certain: boolean;
  /** One character of a set, which the text is. */
  readonly single: boolean;
}

const CONTROLS: Readonly<Record<string, string>> = {
  r: "\r",
  n: "\n",
  t: "\t",
  f: "\f",
  v: "\v",
  a: "\x07",
  e: "\x1b",
};
const GENERAL =
  /^(L|Lu|Ll|Lt|Lm|Lo|M|Mn|Mc|Me|N|Nd|Nl|No|P|Pc|Pd|Ps|Pe|Pi|Pf|Po|S|Sm|Sc|Sk|So|Z|Zs|Zl|Zp|C|Cc|Cf|Co)$/;
const SCRIPTS = /^(Han|Hiragana|Katakana|Hangul|Latin|Cyrillic|Greek|Arabic|Hebrew|Thai|Devanagari)$/;
/** Pairs that fold to one character, which one letter at a time would miss. */
const FOLDED_PAIR = /ss|ff|fi|fl|st|i\u0307/i;

class Translator {
  readonly #source: string;
  #at = 0;
  #depth = 0;
  #atomic = 0;
  #insensitive = false;

  constructor(source: string) {
    this.#source = source;
  }

  whole(): string {
    const { text } = this.#alternatives();
    if (this.#at < this.#source.length) throw this.#refused();
    return text;
  }

  #refused(): Error {
    return unsupported(`regular expression ${this.#source}`);
  }

  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #alternatives(): Piece {
    if (++this.#depth > DEEPEST) throw invalid("a regular expression nests too deeply");
    const branches = [this.#branch()];
    while (this.#take("|")) branches.push(this.#branch());
    this.#depth--;
    if (branches.length === 1) return branches[0]!;
    // Choices of one character each are a set: so no text is taken in two ways.
    const single = branches.every((branch) => branch.single);
    return {
      text: single
        ? `[${branches.map(({ text }) => text).join("")}]`
        : branches.map(({ text }) => text).join("|"),
      loops: Math.max(...branches.map(({ loops }) => loops)),
      endless: branches.some(({ endless }) => endless),
      certain: single,
      single,
    };
  }

  #branch(): Piece {
    let text = "";
    let loops = 0;
    let endless = false;
    let certain = true;
    let count = 0;
    let single = false;
    let letters = "";
    while (this.#at < this.#source.length && !"|)".includes(this.#source[this.#at]!)) {
      const from = this.#at;
      const atom = this.#atom();
      if (this.#insensitive) {
        letters = this.#at - from === 1 ? letters + this.#source[from]! : "";
        if (FOLDED_PAIR.test(letters)) throw this.#refused();
      }
      const piece = this.#repeated(atom);
      text += piece.text;
      loops += piece.loops;
      endless ||= piece.endless;
      certain &&= piece.certain;
      single = piece.single && count === 0;
      count++;
    }
    if (loops > MOST_LOOPS) throw invalid(`a regular expression with ${loops} loops in a row`);
    return { text, loops, endless, certain, single };
  }

  #repeated(atom: Piece): Piece {
    const match = /^(?:[*+?]|\{\d+(?:,\d*)?\}|\{,\d+\})/.exec(this.#source.slice(this.#at, this.#at + 16));
    if (match === null) return atom;
    this.#at += match[0].length;
    let written = match[0].startsWith("{,") ? `{0${match[0].slice(1)}` : match[0];
    const bounds = /^\{(\d+)(,?)(\d*)\}$/.exec(written);
    const least = bounds === null ? 0 : Number(bounds[1]);
    let most =
      bounds === null
        ? written === "?"
          ? 1
          : Infinity
        : bounds[2] === ""
          ? least
          : bounds[3] === ""
            ? Infinity
            : Number(bounds[3]);
    if (least > 1000 || (most !== Infinity && (most > 1000 || most < least)))
      throw invalid(`a regular expression repeats ${written}`);
    // `a{1,3}+` is no possessive form but repeats again, which is `a+` where one may do.
    if (bounds !== null && this.#take("+")) {
      if (least > 1 || most < 1 || !atom.single) throw this.#refused();
      written = least === 0 ? "*" : "+";
      most = Infinity;
    }
    const endless = most === Infinity;
    if (most > 1 && !atom.certain) throw invalid("a regular expression with choices or loops inside a loop");
    let text = atom.text + written;
    if (bounds === null && this.#take("+")) text = this.#undivided(text);
    else if (this.#take("?")) {
      // `a{2}?` is an option, not a lazy quantifier.
      if (bounds !== null && bounds[2] === "") throw this.#refused();
      text += "?";
    }
    if (/^[*+?{]/.test(this.#source[this.#at] ?? "")) throw this.#refused();
    const loops = atom.loops + (endless ? 1 : 0);
    return {
      text,
      loops,
      endless: atom.endless || endless,
      certain: atom.certain && least === most,
      single: false,
    };
  }

  /** Never gives back what it took: a look ahead, and what it saw. */
  #undivided(text: string): string {
    const name = `atom${this.#atomic++}`;
    return `(?:(?=(?<${name}>${text}))\\k<${name}>)`;
  }

  #atom(): Piece {
    const character = String.fromCodePoint(this.#source.codePointAt(this.#at)!);
    const piece = (text: string, single: boolean): Piece => ({
      text,
      loops: 0,
      endless: false,
      certain: true,
      single,
    });
    const plain = (text: string): Piece => piece(text, true);
    switch (character) {
      case "(":
        return this.#group();
      case "[":
        this.#at++;
        return plain(this.#set());
      case "\\":
        return /^\\[Az]/.test(this.#source.slice(this.#at, this.#at + 2))
          ? piece(this.#escape(false), false)
          : plain(this.#escape(false));
      case ".":
        this.#at++;
        return plain("[^\\n]");
      case "^":
        this.#at++;
        return piece("(?:(?<![^])|(?<=\\n)(?=[^]))", false);
      case "$":
        this.#at++;
        return piece("(?=\\n|(?![^]))", false);
      default:
        if ("*+?{".includes(character)) throw this.#refused();
        this.#at += character.length;
        return plain(this.#insensitive ? this.#folded(character) : escaped(character));
    }
  }

  #group(): Piece {
    const opened = /^\((?:\?(?:[:=!>]|<[=!]|i:|i\)|<[A-Za-z_]\w*>))?/.exec(
      this.#source.slice(this.#at, this.#at + 64),
    )![0];
    if (this.#source.startsWith("(?", this.#at) && opened === "(") throw this.#refused();
    this.#at += opened.length;
    const before = this.#insensitive;
    if (opened === "(?i)") {
      // To the end of the enclosing group.
      this.#insensitive = true;
      const inner = this.#alternatives();
      this.#insensitive = before;
      return { ...inner, text: `(?:${inner.text})`, single: false };
    }
    if (opened === "(?i:") this.#insensitive = true;
    const inner = this.#alternatives();
    this.#insensitive = before;
    if (!this.#take(")")) throw this.#refused();
    if (opened === "(?>") return { ...inner, text: this.#undivided(inner.text), single: false };
    const around = /^\(\?(?:=|!|<=|<!)$/.test(opened);
    if (inner.single && !around) return inner;
    return { ...inner, text: `${around ? opened : "(?:"}${inner.text})`, single: false };
  }

  #folded(character: string): string {
    if (!/[A-Za-z]/.test(character)) {
      if (character.toLowerCase() !== character.toUpperCase()) throw this.#refused();
      return escaped(character);
    }
    const lower = character.toLowerCase();
    // Case folding also brings the long s and the Kelvin sign.
    const more = lower === "s" ? "\\u017f" : lower === "k" ? "\\u212a" : "";
    return `[${lower}${lower.toUpperCase()}${more}]`;
  }

  #escape(inSet: boolean): string {
    const next = this.#source[this.#at + 1] ?? "";
    this.#at += 2;
    switch (next) {
      case "s":
      case "S":
      case "w":
      case "W":
      case "d":
      case "D":
        return classText({ s: "White_Space", w: "word", d: "Nd" }[next.toLowerCase()]!, next < "a");
      case "p":
      case "P": {
        const match = /^\{(\^?)([A-Za-z_]+)\}/.exec(this.#source.slice(this.#at, this.#at + 40));
        if (match === null) throw this.#refused();
        this.#at += match[0].length;
        const name = match[2]!;
        const known = GENERAL.test(name) || name === "Alphabetic" || name === "White_Space";
        if (!known && !SCRIPTS.test(name)) throw this.#refused();
        return classText(known ? name : `Script=${name}`, (next === "P") !== (match[1] === "^"));
      }
      case "x":
      case "u": {
        const match = (next === "u" ? /^[\dA-Fa-f]{4}/ : /^(?:[\dA-Fa-f]{2}|\{[\dA-Fa-f]{1,6}\})/).exec(
          this.#source.slice(this.#at, this.#at + 8),
        );
        if (match === null) throw this.#refused();
        const point = Number.parseInt(match[0].replace(/[{}]/g, ""), 16);
        // A byte above 7F is half a character there.
        if (point > 0x10ffff || (next === "x" && !match[0].startsWith("{") && point > 0x7f))
          throw this.#refused();
        this.#at += match[0].length;
        return escaped(String.fromCodePoint(point));
      }
      case "A":
      case "z":
        if (inSet) throw this.#refused();
        return next === "A" ? "(?<![^])" : "(?![^])";
      default: {
        const control = Object.hasOwn(CONTROLS, next) ? CONTROLS[next] : undefined;
        if (control !== undefined) return escaped(control);
        if (next === "" || /[A-Za-z0-9]/.test(next)) throw this.#refused();
        this.#at--;
        const character = String.fromCodePoint(this.#source.codePointAt(this.#at)!);
        this.#at += character.length;
        return escaped(character);
      }
    }
  }

  /** The rest of a set of characters, its bracket taken. */
  #set(): string {
    if (++this.#depth > DEEPEST) throw invalid("a regular expression nests too deeply");
    const negated = this.#take("^");
    let text = "";
    let first = true;
    for (;;) {
      if (this.#at >= this.#source.length) throw this.#refused();
      if (!first && this.#take("]")) break;
      if (this.#source.startsWith("[:", this.#at) || this.#source.startsWith("&&", this.#at))
        throw this.#refused();
      if (this.#take("[")) text += this.#set();
      else text += this.#range();
      first = false;
    }
    this.#depth--;
    return `[${negated ? "^" : ""}${text}]`;
  }

  #range(): string {
    const low = this.#member();
    const closing = this.#source[this.#at + 1];
    if (this.#source[this.#at] !== "-" || closing === "]" || closing === "[" || low.point === undefined) {
      if (this.#insensitive && low.point !== undefined) return this.#folded(String.fromCodePoint(low.point));
      return low.text;
    }
    this.#at++;
    const high = this.#member();
    if (high.point === undefined || high.point < low.point) throw this.#refused();
    const range = `${low.text}-${high.text}`;
    if (!this.#insensitive) return range;
    if (range !== "a-z" && range !== "A-Z") throw this.#refused();
    return "a-zA-Z\\u017f\\u212a";
  }

  /** One character of a set, or a class. */
  #member(): { readonly text: string; readonly point: number | undefined } {
    const from = this.#at;
    if (this.#source[from] === "\\") {
      const isClass = /[sSwWdDpP]/.test(this.#source[from + 1] ?? "");
      const text = this.#escape(true);
      if (isClass) return { text, point: undefined };
      const hexadecimal = /^\\u\{([0-9a-f]+)\}$/.exec(text);
      return {
        text,
        point: hexadecimal === null ? text.codePointAt(0) : Number.parseInt(hexadecimal[1]!, 16),
      };
    }
    const character = String.fromCodePoint(this.#source.codePointAt(from)!);
    this.#at += character.length;
    return { text: escaped(character), point: character.codePointAt(0) };
  }
}
