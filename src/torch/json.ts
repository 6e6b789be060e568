/** A JSON reader for files of strangers: bounded, exact integers, no duplicate keys, parts left unread until asked for. */
import { damaged, quoted } from "./invalid.js";
import { type Json, type JsonObject, type JsonOptions, LazyObject } from "./json-value.js";
import { nativeJson } from "./native-json.js";

const MAX_DEPTH = 200;
const MAX_VALUES = 2_000_000;
const OBJECT_COST = 4;
const LIST_COST = 2;
const NUMBER = /(-?)(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
const SPACE = /[ \t\n\r]*/y;
/** Longer integers than any field of ours holds. */
const MAX_DIGITS = 40;

/** The one value in a UTF-8 text. Throws FILE_INVALID, naming `what`. */
export function parseJson(bytes: Uint8Array, what: string, options: JsonOptions = {}): Json {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw damaged(`${what} is no UTF-8`, { cause });
  }
  const bounds = { maxDepth: MAX_DEPTH, maxValues: MAX_VALUES, ...options };
  return nativeJson(text, bounds) ?? strictJson(text, what, options);
}

/** What `parseJson` gives, without the platform's parser. */
export function strictJson(text: string, what: string, options: JsonOptions = {}): Json {
  const reader = new JsonReader(text, what, options);
  const value = reader.value(0);
  reader.end();
  return value;
}

class JsonReader {
  readonly #text: string;
  readonly #what: string;
  readonly #options: JsonOptions;
  readonly #maxDepth: number;
  #at = 0;
  #left: number;

  constructor(text: string, what: string, options: JsonOptions) {
    this.#text = text;
    this.#what = what;
    this.#options = options;
    this.#maxDepth = options.maxDepth ?? MAX_DEPTH;
    this.#left = options.maxValues ?? MAX_VALUES;
  }

  #valueAt(start: number): Json {
    this.#at = start;
    return this.value(0);
  }

  end(): void {
    this.#space();
    if (this.#at !== this.#text.length) this.#refuse("has something after its end");
  }

  value(depth: number): Json {
    this.#space();
    const first = this.#text[this.#at];
    this.#left -= first === "{" ? OBJECT_COST : first === "[" ? LIST_COST : 1;
    if (this.#left < 0) this.#refuse("holds more values than may be read");
    switch (first) {
      case "{":
        return this.#object(depth + 1);
      case "[":
        return this.#array(depth + 1);
      case '"':
        return this.#string();
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #object(depth: number, keep?: ReadonlySet<string>): JsonObject {
    if (depth > this.#maxDepth) this.#refuse("is nested too deeply");
    const { only, lazy } = this.#options;
    const members = new Map<string, Json>();
    this.#members((key) => {
      const isObject = this.#text[this.#at] === "{";
      const inner = only?.get(key);
      if (keep?.has(key) === false) this.#pass();
      else if (isObject && inner !== undefined) members.set(key, this.#object(depth + 1, inner));
      else if (isObject && lazy?.has(key)) members.set(key, this.#lazyObject());
      else members.set(key, this.value(depth));
    });
    return members;
  }

  #lazyObject(): LazyObject {
    const starts = new Map<string, number>();
    this.#members((key) => {
      starts.set(key, this.#at);
      this.#pass();
    });
    return new LazyObject(starts, (key) => this.#valueAt(starts.get(key)!));
  }

  /** Calls `take` at the value of each member. */
  #members(take: (key: string) => void): void {
    const keys = new Set<string>();
    this.#at++;
    if (this.#skipTo("}")) return;
    for (;;) {
      this.#space();
      if (this.#text[this.#at] !== '"') this.#refuse("lacks a key");
      const key = this.#string();
      if (keys.has(key)) this.#refuse(`has the key ${quoted(key)} twice`);
      keys.add(key);
      if (!this.#skipTo(":")) this.#refuse("lacks a colon");
      this.#space();
      take(key);
      if (this.#skipTo("}")) return;
      if (!this.#skipTo(",")) this.#refuse("lacks a comma");
    }
  }

  #array(depth: number): Json[] {
    if (depth > this.#maxDepth) this.#refuse("is nested too deeply");
    this.#at++;
    const items: Json[] = [];
    if (this.#skipTo("]")) return items;
    for (;;) {
      items.push(this.value(depth));
      if (this.#skipTo("]")) return items;
      if (!this.#skipTo(",")) this.#refuse("lacks a comma");
    }
  }

  #string(): string {
    const start = ++this.#at;
    const text = this.#text;
    let escaped = false;
    for (let at = start; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === 0x22) {
        this.#at = at + 1;
        if (!escaped) return text.slice(start, at);
        return this.#unescape(text.slice(start - 1, at + 1));
      }
      if (code === 0x5c) {
        escaped = true;
        at++;
      } else if (code < 0x20) break;
    }
    return this.#refuse("has a string without an end");
  }

  #unescape(literal: string): string {
    let text: string;
    try {
      text = JSON.parse(literal) as string;
    } catch {
      return this.#refuse("has a string with a wrong escape");
    }
    return text.isWellFormed() ? text : this.#refuse("has a string with half a character");
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#refuse("has an unknown word");
    this.#at += word.length;
    return value;
  }

  #number(): number | bigint {
    if (this.#options.nonFinite) {
      if (this.#text.startsWith("NaN", this.#at)) return this.#word("NaN", Number.NaN);
      if (this.#text.startsWith("Infinity", this.#at))
        return this.#word("Infinity", Number.POSITIVE_INFINITY);
      if (this.#text.startsWith("-Infinity", this.#at))
        return this.#word("-Infinity", Number.NEGATIVE_INFINITY);
    }
    NUMBER.lastIndex = this.#at;
    const match = NUMBER.exec(this.#text);
    if (match === null) return this.#refuse("has something that is no value");
    this.#at = NUMBER.lastIndex;
    const [token, sign, digits, fraction, exponent] = match;
    const whole = fraction === undefined && exponent === undefined;
    if (this.#options.countsOnly && (sign !== "" || !whole))
      this.#refuse(`has ${quoted(token)} where a count belongs`);
    const value = Number(token);
    if (!whole || Number.isSafeInteger(value)) return value;
    if (digits!.length > MAX_DIGITS) this.#refuse("has a number of too many digits");
    return BigInt(token);
  }

  /** Passes over a value without building it; it is checked when it is parsed. */
  #pass(): void {
    let depth = 0;
    const text = this.#text;
    for (; this.#at < text.length; this.#at++) {
      const code = text.charCodeAt(this.#at);
      if (code === 0x22) {
        this.#passString();
        if (depth === 0) {
          this.#at++;
          return;
        }
      } else if (code === 0x7b || code === 0x5b) depth++;
      else if (code === 0x7d || code === 0x5d) {
        // A bracket that closes what holds this value.
        if (depth === 0) return;
        if (--depth === 0) {
          this.#at++;
          return;
        }
      } else if (code === 0x2c && depth === 0) return;
    }
    this.#refuse("is cut off");
  }

  /** From the opening quote to the closing one. */
  #passString(): void {
    const text = this.#text;
    for (let at = this.#at + 1; ; ) {
      const quote = text.indexOf('"', at);
      if (quote < 0) this.#refuse("has a string without an end");
      let slashes = 0;
      while (text.charCodeAt(quote - 1 - slashes) === 0x5c) slashes++;
      at = quote + 1;
      if (slashes % 2 === 0) {
        this.#at = quote;
        return;
      }
    }
  }

  #skipTo(mark: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== mark) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    const code = this.#text.charCodeAt(this.#at);
    if (code > 0x20) return;
    SPACE.lastIndex = this.#at;
    SPACE.exec(this.#text);
    this.#at = SPACE.lastIndex;
  }

  #refuse(problem: string): never {
    throw damaged(`${this.#what} ${problem}`, { given: `JSON at character ${this.#at}` });
  }
}
