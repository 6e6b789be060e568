/** The kinds of settings: each reads a text, takes a value of a config file, and prints itself back. */
import { isAbsolute, resolve } from "node:path";
import { suggest } from "./did-you-mean.js";
import { TenonError } from "./errors.js";
import { parseBytes, parseCount, parseDuration } from "./quantity.js";

/** One setting: its default, how it is read and how it is printed. Made by the functions of this file. */
export interface Knob<T> {
  readonly default: T;
  readonly description: string;
  /** What stands for the value in a usage line: `<port>`. */
  readonly placeholder: string;
  /** What a value must be, as a clause. */
  readonly expected: string;
  /** Reads the text of a flag or of an environment variable; throws CONFIG_INVALID. */
  readonly parse: (text: string) => T;
  /** True where a config file may give the value itself (a number, a boolean, a list) in place of its text. */
  readonly accepts: "number" | "boolean" | "list" | "text";
  /** The text that `parse` reads as this value. */
  readonly format: (value: T) => string;
  /** Never printed, and no flag: other users of the machine can read command lines. */
  readonly secret?: true;
}

interface Range {
  readonly min?: number;
  readonly max?: number;
}

function ranged(
  what: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: Range,
  print: (n: number) => string,
) {
  const bounds =
    max === Number.MAX_SAFE_INTEGER ? `${print(min)} or more` : `from ${print(min)} to ${print(max)}`;
  const expected = `${what}, ${bounds}`;
  const check = (text: string, value: number): number => {
    if (value < min || value > max) throw new TenonError("CONFIG_INVALID", { given: text, expected });
    return value;
  };
  return { expected, check };
}

/** A whole number such as `512` or `4k`. */
export function count(
  fallback: number,
  description: string,
  range: Range & { placeholder?: string } = {},
): Knob<number> {
  const { expected, check } = ranged("a whole number", range, String);
  return {
    default: fallback,
    description,
    placeholder: range.placeholder ?? "count",
    expected,
    accepts: "number",
    parse: (text) => check(text, parseCount(text)),
    format: String,
  };
}

/** A whole number, or `auto` to have it chosen. */
export function countOrAuto(description: string, range: Range = {}): Knob<number | "auto"> {
  const { parse, expected, placeholder } = count(0, description, range);
  return {
    default: "auto",
    description,
    placeholder: `${placeholder}|auto`,
    expected: `${expected}, or auto`,
    accepts: "number",
    parse: (text) => (text === "auto" ? "auto" : parse(text)),
    format: String,
  };
}

/** A whole number, or `off`. */
export function countOrOff(
  fallback: number | "off",
  description: string,
  range: Range = {},
): Knob<number | "off"> {
  const { parse, expected, placeholder } = count(0, description, range);
  return {
    default: fallback,
    description,
    placeholder: `${placeholder}|off`,
    expected: `${expected}, or off`,
    accepts: "number",
    parse: (text) => (text === "off" ? "off" : parse(text)),
    format: String,
  };
}

/** A port, `auto` for the one that `chosen` describes, or `off`. */
export function portOf(what: string, chosen: string): Knob<number | "auto" | "off"> {
  const { parse, expected } = count(0, "", { max: 65_535 });
  return {
    default: "auto",
    description: `${what}; auto: ${chosen}; 0 takes any free one; off: none.`,
    placeholder: "port|auto|off",
    expected: `${expected}, auto or off`,
    accepts: "number",
    parse: (text) => (text === "auto" || text === "off" ? text : parse(text)),
    format: String,
  };
}

/** A size in bytes, always with its unit. */
export function bytes(fallback: string, description: string, range: Range = {}): Knob<number> {
  const { expected, check } = ranged("a size such as 64MiB or 2GB", range, printBytes);
  const parse = (text: string): number => check(text, Math.floor(parseBytes(text)));
  return {
    default: parse(fallback),
    description,
    placeholder: "size",
    expected,
    accepts: "text",
    parse,
    format: printBytes,
  };
}

/** A size in bytes with its unit, or `auto` to have it chosen. */
export function bytesOrAuto(description: string, range: Range = {}): Knob<number | "auto"> {
  const { parse, expected } = bytes("1GiB", description, range);
  return {
    default: "auto",
    description,
    placeholder: "size|auto",
    expected: `${expected}, or auto`,
    accepts: "text",
    parse: (text) => (text === "auto" ? "auto" : parse(text)),
    format: (value) => (value === "auto" ? value : printBytes(value)),
  };
}

/** A duration in milliseconds, always with its unit. */
export function duration(fallback: string, description: string, range: Range = {}): Knob<number> {
  const { expected, check } = ranged("a duration such as 30s or 250ms", range, printDuration);
  const parse = (text: string): number => check(text, parseDuration(text));
  return {
    default: parse(fallback),
    description,
    placeholder: "duration",
    expected,
    accepts: "text",
    parse,
    format: printDuration,
  };
}

/** `on` or `off` (also `true`/`false`). */
export function onOff(fallback: boolean, description: string): Knob<boolean> {
  const words: Readonly<Record<string, boolean>> = { on: true, true: true, off: false, false: false };
  const expected = "on or off";
  return {
    default: fallback,
    description,
    placeholder: "on|off",
    expected,
    accepts: "boolean",
    parse: (text) => {
      const value = Object.hasOwn(words, text) ? words[text] : undefined;
      if (value === undefined) throw new TenonError("CONFIG_INVALID", { given: text, expected });
      return value;
    },
    format: (value) => (value ? "on" : "off"),
  };
}

/** One of a few words. */
export function choice<const C extends readonly string[]>(
  choices: C,
  fallback: C[number],
  description: string,
): Knob<C[number]> {
  return {
    default: fallback,
    description,
    placeholder: choices.join("|"),
    expected: `one of ${choices.join(", ")}`,
    accepts: "text",
    parse: (text) => {
      const found = choices.find((word) => word === text);
      if (found === undefined) {
        throw new TenonError("CONFIG_INVALID", { given: text, expected: suggest(text, choices) });
      }
      return found;
    },
    format: String,
  };
}

/** Any text that is not empty. */
export function text(fallback: string, description: string, placeholder: string): Knob<string> {
  return {
    default: fallback,
    description,
    placeholder,
    expected: "a text that is not empty",
    accepts: "text",
    parse: (value) => {
      if (value.trim() === "") {
        throw new TenonError("CONFIG_INVALID", { given: `"${value}"`, expected: "a text that is not empty" });
      }
      return value;
    },
    format: String,
  };
}

/** A file or folder, made absolute from the working directory; `word` stands for "none" or "chosen by Tenon". */
export function path(fallback: string, description: string, word: string): Knob<string> {
  return {
    default: fallback,
    description,
    placeholder: `path|${word}`,
    expected: `a path, or ${word}`,
    accepts: "text",
    parse: (value) => {
      if (value === word) return word;
      if (value.trim() === "" || value.includes("\0")) {
        throw new TenonError("CONFIG_INVALID", { given: `"${value}"`, expected: `a path, or ${word}` });
      }
      return isAbsolute(value) ? value : resolve(value);
    },
    format: String,
  };
}

/** A text that is never printed; none by default. */
export function secret(description: string): Knob<string> {
  return {
    ...text("", description, "secret"),
    expected: "a text",
    parse: (value) => value,
    format: (value) => (value === "" ? "" : "***"),
    secret: true,
  };
}

/** Texts separated by commas; empty by default. */
export function list(description: string, placeholder: string): Knob<readonly string[]> {
  return {
    default: [],
    description,
    placeholder,
    expected: "texts separated by commas",
    accepts: "list",
    parse: (value) =>
      value
        .split(",")
        .map((part) => part.trim())
        .filter((part) => part !== ""),
    format: (value) => value.join(","),
  };
}

function printBytes(value: number): string {
  return largest(value, [
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
    ["B", 1],
  ]);
}

function printDuration(value: number): string {
  return largest(value, [
    ["h", 3600e3],
    ["m", 60e3],
    ["s", 1000],
    ["ms", 1],
    ["us", 1e-3],
  ]);
}

/** The value in its largest unit that gives a whole number: an exact text, unlike the rounded one of a report. */
function largest(value: number, units: readonly (readonly [string, number])[]): string {
  const [name, size] = units.find((unit) => value > 0 && Number.isInteger(value / unit[1])) ?? units.at(-1)!;
  return `${value / size}${name}`;
}
