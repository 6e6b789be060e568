/** nativeJson: a text by the platform's parser, ten times as fast, where that provably gives what the strict reader gives. */
import { type Json, type JsonObject, type JsonOptions, LazyObject } from "./json-value.js";

/** The platform builds everything before anything can be bounded. */
const MAX_TEXT = 4_000_000;

/** What slices to the end have, and the only integer beyond 2^53 that is taken here. */
const LAST = "9223372036854775807";
const LONG_INTEGER = /(?<![.0-9])[0-9]{16,}(?![.0-9eE])/g;
/** Other ways to write 2^63. */
const NOT_PLAIN = /[0-9]{16}[.eE]|[0-9][eE]\+?[0-9]/;
const PARTED_KEY = /"[ \t\r\n]+:/;
const IN_ORDER_OF_VALUE = /^[0-9]+$/;

type Bounds = Required<Pick<JsonOptions, "maxDepth" | "maxValues">> & JsonOptions;

/**
 * The value; undefined where the strict reader has to decide: for keys that may be there twice, long integers, keys that
 * the platform reorders, escaped code units, what is too large or too deep, and all that is wrong.
 */
export function nativeJson(text: string, options: Bounds): Json | undefined {
  if (options.countsOnly || text.length > MAX_TEXT) return undefined;
  if (text.includes("\\u") || PARTED_KEY.test(text)) return undefined;
  const long = text.match(LONG_INTEGER) ?? [];
  if (long.some((digits) => digits !== LAST) || (long.length > 0 && NOT_PLAIN.test(text))) return undefined;
  let parsed: Plain;
  try {
    parsed = JSON.parse(text) as Plain;
  } catch {
    return undefined;
  }
  const tree = new Tree(options, long.length > 0);
  // A key that is there twice is once in the tree.
  if (!tree.measure(parsed, 0) || tree.keys !== keysIn(text)) return undefined;
  return tree.json(parsed);
}

/** What JSON.parse gives. */
type Plain = null | boolean | number | string | Plain[] | { [key: string]: Plain };

/** Quotes that no backslash escapes, before a colon: the ends of keys, and the starts of texts that open with one. */
function keysIn(text: string): number {
  let count = 0;
  for (let at = text.indexOf('":'); at >= 0; at = text.indexOf('":', at + 2)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes++;
    if (slashes % 2 === 0) count++;
  }
  return count;
}

class Tree {
  keys = 0;
  readonly #options: Bounds;
  readonly #hasLast: boolean;
  #left: number;

  constructor(options: Bounds, hasLast: boolean) {
    this.#options = options;
    this.#hasLast = hasLast;
    this.#left = options.maxValues;
  }

  /** Counts keys; false for what is not taken here. */
  measure(value: Plain, depth: number): boolean {
    if (typeof value !== "object" || value === null) return --this.#left >= 0;
    if (depth >= this.#options.maxDepth) return false;
    if (Array.isArray(value)) {
      this.#left -= 2;
      return value.every((item) => this.measure(item, depth + 1));
    }
    this.#left -= 4;
    const keys = Object.keys(value);
    this.keys += keys.length;
    if (keys.length > 1 && IN_ORDER_OF_VALUE.test(keys[0]!)) return false;
    return keys.every((key) => this.measure(value[key]!, depth + 1));
  }

  json(value: Plain): Json {
    if (typeof value === "number") return this.#number(value);
    if (typeof value !== "object" || value === null) return value;
    return Array.isArray(value) ? value.map((item) => this.json(item)) : this.#object(value);
  }

  #object(value: { [key: string]: Plain }, keep?: ReadonlySet<string>): JsonObject {
    const { only, lazy } = this.#options;
    const members = new Map<string, Json>();
    for (const key of Object.keys(value)) {
      if (keep?.has(key) === false) continue;
      const member = value[key]!;
      const isObject = typeof member === "object" && member !== null && !Array.isArray(member);
      const inner = isObject ? only?.get(key) : undefined;
      if (isObject && inner !== undefined) members.set(key, this.#object(member, inner));
      else if (isObject && lazy?.has(key)) {
        const unread = new Map(Object.entries(member));
        members.set(key, new LazyObject(unread, (each) => this.json(unread.get(each)!)));
      } else members.set(key, this.json(member));
    }
    return members;
  }

  #number(value: number): number | bigint {
    if (!this.#hasLast || Math.abs(value) !== 2 ** 63) return value;
    return value > 0 ? BigInt(LAST) : -BigInt(LAST);
  }
}
