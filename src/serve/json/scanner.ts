/** JsonScanner: a strict cursor over the bytes of one JSON document (RFC 8259) that builds only the values it is asked for. */
import { isUtf8 } from "node:buffer";
import { TenonError } from "../../base/index.js";
import { internString } from "./intern.js";

/** Bytes of JSON's structure, by what they are. */
export const BYTE = {
  quote: 34,
  comma: 44,
  minus: 45,
  colon: 58,
  openArray: 91,
  backslash: 92,
  closeArray: 93,
  openObject: 123,
  closeObject: 125,
} as const;

/**
 * A cursor over one document, which must be an object or an array. Keys and items are walked with
 * `firstKey`/`nextKey` and `firstItem`/`nextItem`; whatever follows is read by one of the value methods or skipped.
 *
 * Every error is a TenonError REQUEST_INVALID that names the byte. The last byte is known to be a bracket, so loops
 * over digits need no bound: they stop there at the latest.
 */
export class JsonScanner {
  readonly bytes: Buffer;
  readonly end: number;
  readonly maxDepth: number;
  /** Index of the next unread byte. */
  at: number;
  #depth = 0;

  /** The document is `bytes[start, end)`; white space around it is allowed. `maxDepth` bounds the nesting of brackets. */
  constructor(bytes: Buffer, start: number, end: number, maxDepth: number) {
    while (end > start && isSpace(bytes[end - 1]!)) end--;
    this.bytes = bytes;
    this.end = end;
    this.maxDepth = maxDepth;
    this.at = start;
    const last = end > start ? bytes[end - 1] : undefined;
    if (last === undefined) this.fail("The document is empty", start);
    if (last !== BYTE.closeObject && last !== BYTE.closeArray) this.fail("The document ends too early", end);
    if (!isUtf8(bytes.subarray(start, end))) this.fail("The document is not valid UTF-8", start);
  }

  /** Throws REQUEST_INVALID with the position. */
  fail(problem: string, at = this.at): never {
    throw new TenonError("REQUEST_INVALID", {
      problem: `failed to parse the request JSON buffer: ${problem} at ${at}`,
    });
  }

  /** Moves to the next byte that is not white space and returns it. */
  peek(): number {
    const { bytes } = this;
    let byte = bytes[this.at]!;
    while (isSpace(byte)) byte = bytes[++this.at]!;
    return this.at < this.end ? byte : this.fail("The document ends too early", this.end);
  }

  /** Steps over one expected byte (white space before it is skipped). */
  expect(byte: number): void {
    if (this.peek() !== byte) this.fail(`Expected '${String.fromCharCode(byte)}'`);
    this.at++;
  }

  /** True, and stepped over, when the next byte is `byte`. */
  accept(byte: number): boolean {
    if (this.peek() !== byte) return false;
    this.at++;
    return true;
  }

  /** Throws unless only white space is left: call it after the outermost value. */
  finish(): void {
    if (this.at !== this.end) this.fail("The document root must not be followed by other values");
  }

  /** Steps over an opening bracket and counts it towards the depth. */
  open(byte: number): void {
    this.expect(byte);
    if (++this.#depth > this.maxDepth) {
      throw new TenonError("REQUEST_INVALID", {
        problem: `JSON nesting depth exceeds maximum allowed limit (${this.maxDepth})`,
      });
    }
  }

  /** Steps over a closing bracket. */
  close(byte: number): void {
    this.expect(byte);
    this.#depth--;
  }

  /** Opens an object; its first key (the cursor stands at the value), or undefined when it is empty and closed. */
  firstKey(): string | undefined {
    this.open(BYTE.openObject);
    if (this.peek() !== BYTE.closeObject) return this.#key();
    this.close(BYTE.closeObject);
    return undefined;
  }

  /** The next key of the open object, or undefined when it is closed now. */
  nextKey(): string | undefined {
    if (this.peek() === BYTE.comma) {
      this.at++;
      return this.#key();
    }
    if (this.bytes[this.at] !== BYTE.closeObject) {
      this.fail("Missing a comma or } after an object member");
    }
    this.close(BYTE.closeObject);
    return undefined;
  }

  /** Opens an array; false when it is empty and closed. */
  firstItem(): boolean {
    this.open(BYTE.openArray);
    if (this.peek() !== BYTE.closeArray) return true;
    this.close(BYTE.closeArray);
    return false;
  }

  /** True when the open array has another item, false when it is closed now. */
  nextItem(): boolean {
    if (this.peek() === BYTE.comma) {
      this.at++;
      return true;
    }
    if (this.bytes[this.at] !== BYTE.closeArray) this.fail("Missing a comma or ] after an array element");
    this.close(BYTE.closeArray);
    return false;
  }

  #key(): string {
    if (this.peek() !== BYTE.quote) this.fail("Missing a name for object member");
    const key = this.string();
    this.expect(BYTE.colon);
    return key;
  }

  /** Reads a string. */
  string(): string {
    this.expect(BYTE.quote);
    const start = this.at;
    const end = this.#stringEnd();
    if (end >= 0) return internString(this.bytes, start, end);
    return decodeEscapes(this.bytes.toString("utf8", start, this.at - 1), this, start);
  }

  /**
   * Steps over a string (the opening quote is read already). Returns the index of its closing quote when it holds no
   * escape, so that its bytes are its text; else -1.
   */
  #stringEnd(): number {
    const { bytes, end } = this;
    let at = this.at;
    let plain = true;
    while (at < end) {
      const byte = bytes[at]!;
      if (byte === BYTE.quote) {
        this.at = at + 1;
        return plain ? at : -1;
      }
      if (byte === BYTE.backslash) {
        plain = false;
        at++;
      } else if (byte < 32) {
        this.fail("Invalid control character in string", at);
      }
      at++;
    }
    return this.fail("Missing a closing quotation mark in string", this.at - 1);
  }

  /**
   * Reads a string and appends its UTF-8 bytes to `target` at `length`; returns the new length. `target` needs as
   * much room as the document has bytes, since text is never longer than its JSON form.
   */
  stringInto(target: Uint8Array, length: number): number {
    this.expect(BYTE.quote);
    const start = this.at;
    const end = this.#stringEnd();
    if (end >= 0) {
      const { bytes } = this;
      if (end - start > 32) target.set(bytes.subarray(start, end), length);
      else for (let i = start; i < end; i++) target[length + i - start] = bytes[i]!;
      return length + end - start;
    }
    const text = Buffer.from(decodeEscapes(this.bytes.toString("utf8", start, this.at - 1), this, start));
    target.set(text, length);
    return length + text.length;
  }

  /** Reads `true` or `false`; undefined (and nothing read) when the value is something else. */
  boolean(): boolean | undefined {
    const byte = this.peek();
    if (byte === 116 && this.#literal("true")) return true;
    if (byte === 102 && this.#literal("false")) return false;
    return undefined;
  }

  #literal(word: string): boolean {
    const { bytes, at } = this;
    for (let i = 0; i < word.length; i++) {
      if (bytes[at + i] !== word.charCodeAt(i)) return this.fail("Invalid value", at);
    }
    this.at = at + word.length;
    return true;
  }

  /** Reads a number as its text (NaN and ±Infinity included); undefined when the value is something else. */
  numberText(): string | undefined {
    const byte = this.peek();
    if (byte !== BYTE.minus && byte !== 78 && byte !== 73 && !isDigit(byte)) return undefined;
    const start = this.at;
    this.skipNumber();
    return this.bytes.toString("latin1", start, this.at);
  }

  /** Steps over a number, checking its grammar; NaN, Infinity and -Infinity are numbers here. */
  skipNumber(): void {
    const { bytes } = this;
    const start = this.at;
    let at = start;
    if (bytes[at] === BYTE.minus) at++;
    if (bytes[at] === 73) {
      this.at = at;
      this.#literal("Infinity");
      return;
    }
    if (bytes[at] === 78 && at === start) {
      this.#literal("NaN");
      return;
    }
    if (!isDigit(bytes[at]!)) this.fail("Invalid value", start);
    if (bytes[at] === 48 && isDigit(bytes[at + 1]!)) this.fail("Invalid value: a leading zero", start);
    while (isDigit(bytes[at]!)) at++;
    if (bytes[at] === 46) {
      at++;
      if (!isDigit(bytes[at]!)) this.fail("Missing fraction part in number", at);
      while (isDigit(bytes[at]!)) at++;
    }
    if (bytes[at] === 101 || bytes[at] === 69) {
      at++;
      if (bytes[at] === 43 || bytes[at] === 45) at++;
      if (!isDigit(bytes[at]!)) this.fail("Missing exponent in number", at);
      while (isDigit(bytes[at]!)) at++;
    }
    this.at = at;
  }

  /** Steps over any value, checking its grammar and depth. */
  skip(): void {
    switch (this.peek()) {
      case BYTE.quote: {
        const start = this.at;
        this.at++;
        const raw = this.at;
        if (this.#stringEnd() < 0) decodeEscapes(this.bytes.toString("utf8", raw, this.at - 1), this, start);
        return;
      }
      case BYTE.openObject:
        for (let key = this.firstKey(); key !== undefined; key = this.nextKey()) this.skip();
        return;
      case BYTE.openArray:
        for (let more = this.firstItem(); more; more = this.nextItem()) this.skip();
        return;
      case 116:
        this.#literal("true");
        return;
      case 102:
        this.#literal("false");
        return;
      case 110:
        this.#literal("null");
        return;
      default:
        this.skipNumber();
    }
  }

  /**
   * Steps over an array by its brackets alone, for a value that is scanned (and so checked) later.
   * Anything but an array is skipped as usual.
   */
  skipUnchecked(): void {
    if (this.peek() !== BYTE.openArray) {
      this.skip();
      return;
    }
    const { bytes, end } = this;
    const start = this.at;
    let depth = 0;
    while (this.at < end) {
      const byte = bytes[this.at++]!;
      if (byte === BYTE.quote) this.#stringEnd();
      else if (byte === BYTE.openArray || byte === BYTE.openObject) depth++;
      else if ((byte === BYTE.closeArray || byte === BYTE.closeObject) && --depth === 0) return;
    }
    this.fail("Missing a closing ]", start);
  }
}

/** JSON's four white-space bytes. */
export function isSpace(byte: number): boolean {
  return byte === 32 || byte === 10 || byte === 13 || byte === 9;
}

function isDigit(byte: number): boolean {
  return byte >= 48 && byte <= 57;
}

const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

function decodeEscapes(raw: string, scanner: JsonScanner, at: number): string {
  const text = raw.replace(/\\(?:u([0-9a-fA-F]{4})|(.?))/gs, (_, hex: string | undefined, short: string) => {
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16));
    return ESCAPES[short] ?? scanner.fail("Invalid escape character in string", at);
  });
  if (!text.isWellFormed()) scanner.fail("The surrogate pair in string is invalid", at);
  return text;
}
