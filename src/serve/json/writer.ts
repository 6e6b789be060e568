/** JsonWriter: JSON text straight into bytes; numbers of tensors go in digit by digit, without strings between. */
import { decimal, shortestFloat32 } from "./float-text.js";

/** How floats are printed. */
export interface FloatFormat {
  /**
   * `float` (default): a float32 is printed as the shortest decimal that reads back as the same float32 (`0.1`).
   * `double`: as the shortest decimal of the double that equals it (`0.10000000149011612`), as Triton prints it.
   */
  readonly floats: "float" | "double";
  /** NaN and ±Infinity: `bare` tokens as Triton and Python write them (default), or `null`, which is strict JSON. */
  readonly nonFinite: "bare" | "null";
}

/** Bytes that one number can need at most. */
const NUMBER_ROOM = 32;

/** A growing byte buffer with JSON's pieces. Reused between documents through `reset`. */
export class JsonWriter {
  #buffer: Buffer;
  #length = 0;

  /** `room`: bytes to begin with. */
  constructor(room = 1024) {
    this.#buffer = Buffer.allocUnsafeSlow(room);
  }

  get length(): number {
    return this.#length;
  }

  /** Forgets what was written; the room stays, unless it grew past `keep` bytes. */
  reset(keep = 65_536): void {
    this.#length = 0;
    if (this.#buffer.length > keep) this.#buffer = Buffer.allocUnsafeSlow(1024);
  }

  /** The bytes written so far, which are the caller's from now on; the writer begins anew. */
  take(): Buffer {
    const bytes = this.#buffer.subarray(0, this.#length);
    this.#buffer = Buffer.allocUnsafeSlow(1024);
    this.#length = 0;
    return bytes;
  }

  /** The bytes written so far, as text of one unit per byte. */
  latin1(): string {
    return this.#buffer.toString("latin1", 0, this.#length);
  }

  #room(bytes: number): void {
    const needed = this.#length + bytes;
    if (needed <= this.#buffer.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#buffer.length * 2));
    this.#buffer.copy(larger, 0, 0, this.#length);
    this.#buffer = larger;
  }

  /** Appends text that is JSON already and ASCII. */
  ascii(text: string): void {
    this.#room(text.length);
    const buffer = this.#buffer;
    if (text.length > 24) {
      this.#length += buffer.write(text, this.#length, "latin1");
      return;
    }
    for (let i = 0; i < text.length; i++) buffer[this.#length++] = text.charCodeAt(i);
  }

  /** Appends text that is JSON already. */
  json(text: string): void {
    this.#room(text.length * 3);
    this.#length += this.#buffer.write(text, this.#length, "utf8");
  }

  /** Appends a string as a JSON string. */
  string(text: string): void {
    this.json(JSON.stringify(text));
  }

  /** Appends an integer (|value| < 2^53). */
  integer(value: number): void {
    this.#room(NUMBER_ROOM);
    this.#length = putInteger(this.#buffer, this.#length, value);
  }

  /** Appends `values[from, to)` with commas between; integers of up to 32 bits. */
  integers(values: ArrayLike<number>, from: number, to: number): void {
    this.#room((to - from) * 12);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let i = from; i < to; i++) {
      if (i > from) buffer[at++] = 44;
      at = putInteger(buffer, at, values[i]!);
    }
    this.#length = at;
  }

  /** Appends 64-bit integers exactly, with commas between. `words`: their halves as `[low, high]`, high signed or not. */
  longs(
    values: BigInt64Array | BigUint64Array,
    low: Uint32Array,
    high: Int32Array | Uint32Array,
    from: number,
    to: number,
  ): void {
    this.#room((to - from) * NUMBER_ROOM);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let i = from; i < to; i++) {
      if (i > from) buffer[at++] = 44;
      const top = high[2 * i + 1]!;
      if (top >= -0x200000 && top < 0x200000) at = putInteger(buffer, at, top * 2 ** 32 + low[2 * i]!);
      else at = putText(buffer, at, String(values[i]!));
    }
    this.#length = at;
  }

  /** Appends `true`/`false` for each byte that is not/is 0. */
  booleans(values: Uint8Array, from: number, to: number): void {
    this.#room((to - from) * 6);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let i = from; i < to; i++) {
      if (i > from) buffer[at++] = 44;
      at = putText(buffer, at, values[i] === 0 ? "false" : "true");
    }
    this.#length = at;
  }

  /** Appends float32 values with commas between. */
  float32s(values: Float32Array, from: number, to: number, format: FloatFormat): void {
    if (format.floats === "double") {
      this.float64s(values, from, to, format);
      return;
    }
    this.#room((to - from) * NUMBER_ROOM);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let i = from; i < to; i++) {
      if (i > from) buffer[at++] = 44;
      const value = values[i]!;
      if (value === 0 || value - value !== 0) at = putSpecial(buffer, at, value, format);
      else at = putFloat32(buffer, at, value);
    }
    this.#length = at;
  }

  /** Appends doubles with commas between. */
  float64s(values: Float64Array | Float32Array, from: number, to: number, format: FloatFormat): void {
    this.#room((to - from) * NUMBER_ROOM);
    const buffer = this.#buffer;
    let at = this.#length;
    for (let i = from; i < to; i++) {
      if (i > from) buffer[at++] = 44;
      const value = values[i]!;
      if (value === 0 || value - value !== 0) at = putSpecial(buffer, at, value, format);
      else at = putFloat64(buffer, at, value);
    }
    this.#length = at;
  }
}

function putText(buffer: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) buffer[at++] = text.charCodeAt(i);
  return at;
}

/** Zero of either sign, NaN and the infinities. */
function putSpecial(buffer: Uint8Array, at: number, value: number, format: FloatFormat): number {
  if (value === 0) return putText(buffer, at, Object.is(value, -0) ? "-0.0" : "0.0");
  return putText(buffer, at, format.nonFinite === "null" ? "null" : String(value));
}

/** Digits of a whole number below 2^31, in exactly `count` places. */
function putDigits(buffer: Uint8Array, at: number, value: number, count: number): number {
  for (let i = at + count - 1; i >= at; i--) {
    const rest = (value / 10) | 0;
    buffer[i] = 48 + value - rest * 10;
    value = rest;
  }
  return at + count;
}

function digitsOf(value: number): number {
  if (value < 100_000) return value < 10 ? 1 : value < 100 ? 2 : value < 1000 ? 3 : value < 10_000 ? 4 : 5;
  return value < 1e6 ? 6 : value < 1e7 ? 7 : value < 1e8 ? 8 : value < 1e9 ? 9 : 10;
}

function putInteger(buffer: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    buffer[at++] = 45;
    value = -value;
  }
  if (value < 1e9) return putDigits(buffer, at, value, digitsOf(value));
  const high = Math.floor(value / 1e9);
  at = putDigits(buffer, at, high, digitsOf(high));
  return putDigits(buffer, at, value - high * 1e9, 9);
}

function putZeros(buffer: Uint8Array, at: number, count: number): number {
  for (let i = 0; i < count; i++) buffer[at++] = 48;
  return at;
}

/** The layout of digits and point is that of JavaScript's own numbers, with `.0` behind whole ones. */
function putFloat32(buffer: Uint8Array, at: number, value: number): number {
  if (value < 0) {
    buffer[at++] = 45;
    value = -value;
  }
  if (value < 16_777_216 && value === Math.floor(value)) {
    at = putDigits(buffer, at, value, digitsOf(value));
    buffer[at++] = 46;
    buffer[at++] = 48;
    return at;
  }
  shortestFloat32(value);
  const { digits, exponent } = decimal;
  const count = digitsOf(digits);
  const point = count + exponent;
  if (point > 21 || point < -5) {
    if (count === 1) {
      buffer[at++] = 48 + digits;
    } else {
      const first = at;
      at = putDigits(buffer, at + 1, digits, count);
      buffer[first] = buffer[first + 1]!;
      buffer[first + 1] = 46;
    }
    buffer[at++] = 101;
    return putInteger(buffer, at, point - 1);
  }
  if (exponent >= 0) {
    at = putZeros(buffer, putDigits(buffer, at, digits, count), exponent);
    buffer[at++] = 46;
    buffer[at++] = 48;
    return at;
  }
  if (point <= 0) {
    buffer[at++] = 48;
    buffer[at++] = 46;
    return putDigits(buffer, putZeros(buffer, at, -point), digits, count);
  }
  const start = at;
  at = putDigits(buffer, at + 1, digits, count);
  for (let i = 0; i < point; i++) buffer[start + i] = buffer[start + i + 1]!;
  buffer[start + point] = 46;
  return at;
}

function putFloat64(buffer: Uint8Array, at: number, value: number): number {
  const text = String(value);
  at = putText(buffer, at, text);
  if (value === Math.floor(value) && Math.abs(value) < 1e21) {
    buffer[at++] = 46;
    buffer[at++] = 48;
  }
  return at;
}
