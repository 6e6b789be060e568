/** Reading the parts of a tokenizer.json: checked access to foreign JSON, and the refusal of what is not known. */
import { TenonError } from "../../base/index.js";

export type Part = Readonly<Record<string, unknown>>;

/** The refusal of a component or setting that these tokenizers do not have. */
export function unsupported(component: string): TenonError {
  return new TenonError("TOKENIZER_UNSUPPORTED", {
    given: component,
    details: { component },
  });
}

export function invalid(problem: string): TenonError {
  return new TenonError("FILE_INVALID", { problem: `tokenizer.json: ${problem}` });
}

export function isPart(value: unknown): value is Part {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The component at `key`; undefined for null or absent. */
export function partAt(part: Part, key: string): Part | undefined {
  const value = part[key];
  if (value === null || value === undefined) return undefined;
  if (!isPart(value)) throw invalid(`"${key}" is not an object`);
  return value;
}

export function listAt(part: Part, key: string): readonly unknown[] {
  const value = part[key];
  if (!Array.isArray(value)) throw invalid(`"${key}" is not a list`);
  return value;
}

export function partsAt(part: Part, key: string): readonly Part[] {
  return listAt(part, key).map((value) => {
    if (!isPart(value)) throw invalid(`"${key}" holds something that is not an object`);
    return value;
  });
}

export function typeOf(part: Part): string {
  return textAt(part, "type");
}

export function textAt(part: Part, key: string, otherwise?: string): string {
  const value = part[key] ?? otherwise;
  if (typeof value !== "string") throw invalid(`"${key}" is not a string`);
  return value;
}

export function flagAt(part: Part, key: string, otherwise: boolean): boolean {
  const value = part[key] ?? otherwise;
  if (typeof value !== "boolean") throw invalid(`"${key}" is neither true nor false`);
  return value;
}

export function countAt(part: Part, key: string, otherwise?: number): number {
  const value = part[key] ?? otherwise;
  if (typeof value !== "number" || !Number.isInteger(value) || value < 0)
    throw invalid(`"${key}" is not a count`);
  return value;
}

/** A pattern as tokenizers write it, `{"String": …}` or `{"Regex": …}`, as a global expression. */
export function patternAt(part: Part, key: string): RegExp {
  const pattern = part[key];
  if (typeof pattern === "string") return new RegExp(escaped(pattern), "gu");
  if (!isPart(pattern)) throw invalid(`"${key}" is not a pattern`);
  if (typeof pattern.String === "string") return new RegExp(escaped(pattern.String), "gu");
  return expression(textAt(pattern, "Regex"));
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

/**
 * An expression of the reference's engine in JavaScript's terms: `\s` is White_Space, `(?i:…)` and possessive
 * quantifiers are spelt out. Throws TOKENIZER_UNSUPPORTED for what has no equal here.
 */
function expression(source: string): RegExp {
  let out = "";
  let inClass = false;
  let insensitive = 0;
  const groups: boolean[] = [];
  for (let i = 0; i < source.length; i++) {
    const character = source[i]!;
    if (character === "\\") {
      const next = source[++i] ?? "";
      out += escapeOf(next, inClass, source);
      continue;
    }
    if (inClass) {
      if (character === "]") inClass = false;
      else if (character === "[" || (character === "&" && source[i + 1] === "&"))
        throw unsupported(`regular expression ${source}`);
      out += character;
      continue;
    }
    if (character === "[") {
      inClass = true;
      out += "[";
      if (source[i + 1] === "^") out += source[++i]!;
      if (source[i + 1] === "]") {
        i++;
        out += "\\]";
      }
      continue;
    }
    if (character === "(") {
      const inline = source.startsWith("(?i:", i);
      groups.push(inline);
      if (inline) {
        insensitive++;
        out += "(?:";
        i += 3;
      } else if (/^\(\?(?![:=!]|<[=!])/.test(source.slice(i, i + 4)))
        throw unsupported(`regular expression ${source}`);
      else out += "(";
      continue;
    }
    if (character === ")") {
      if (groups.pop()) insensitive--;
      out += ")";
      continue;
    }
    // Possessive: the scanners these come from never need to give characters back, so greedy is the same.
    if (character === "+" && /[+*?}]$/.test(out) && !/\\[+*?}]$/.test(out)) continue;
    out += insensitive > 0 && /[a-z]/i.test(character) ? folded(character) : character;
  }
  try {
    return new RegExp(out, "gu");
  } catch (cause) {
    throw new TenonError("TOKENIZER_UNSUPPORTED", { given: `regular expression ${source}`, cause });
  }
}

/** Unicode case folding also brings the long s and the Kelvin sign. */
function folded(letter: string): string {
  const lower = letter.toLowerCase();
  const more = lower === "s" ? "\u017f" : lower === "k" ? "\u212a" : "";
  return `[${lower}${letter.toUpperCase()}${more}]`;
}

const WHITE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000";
const WORDS = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}";

function escapeOf(next: string, inClass: boolean, source: string): string {
  switch (next) {
    case "s":
      return inClass ? WHITE : `[${WHITE}]`;
    case "S":
      if (inClass) throw unsupported(`regular expression ${source}`);
      return `[^${WHITE}]`;
    case "w":
      return inClass ? WORDS : `[${WORDS}]`;
    case "W":
      if (inClass) throw unsupported(`regular expression ${source}`);
      return `[^${WORDS}]`;
    case "d":
      return "\\p{Nd}";
    case "p":
    case "P":
    case "r":
    case "n":
    case "t":
    case "f":
    case "v":
    case "u":
    case "x":
      return `\\${next}`;
    default:
      if (/[a-zA-Z0-9]/.test(next)) throw unsupported(`regular expression ${source}`);
      // In Unicode mode only syntax characters may be escaped.
      return /[\\^$.*+?()[\]{}|/-]/.test(next) && (next !== "-" || inClass) ? `\\${next}` : next;
  }
}
