/** Packer and Unpacker: texts and numbers inside a frame, one behind the other. */
import { internString } from "../json/intern.js";

/** Longest text that a frame holds in bytes. */
export const TEXT_BYTES = 65_535;

/** Most bytes that a text takes. */
export function textRoom(text: string): number {
  return 2 + 3 * text.length;
}

/** Writes into memory that is large enough. */
export class Packer {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  byte(value: number): void {
    this.bytes[this.at++] = value;
  }

  short(value: number): void {
    const { bytes, at } = this;
    bytes[at] = value & 255;
    bytes[at + 1] = value >>> 8;
    this.at = at + 2;
  }

  word(value: number): void {
    this.bytes.writeUInt32LE(value, this.at);
    this.at += 4;
  }

  /** At most TEXT_BYTES long. */
  text(text: string): void {
    const { bytes } = this;
    const from = this.at + 2;
    const { length } = text;
    let count = 0;
    // Short ASCII is written faster here than by a call.
    if (length <= 32) {
      while (count < length) {
        const unit = text.charCodeAt(count);
        if (unit > 127) break;
        bytes[from + count++] = unit;
      }
    }
    if (count < length) count = bytes.write(text, from);
    this.short(count);
    this.at = from + count;
  }

  /** Zeros up to a multiple of `alignment` behind `origin`. */
  pad(origin: number, alignment: number): void {
    const { bytes } = this;
    while ((this.at - origin) % alignment !== 0) bytes[this.at++] = 0;
  }
}

/** Reads what a Packer wrote; every read throws RangeError where the frame ends. */
export class Unpacker {
  readonly bytes: Buffer;
  at: number;
  readonly #end: number;

  constructor(bytes: Buffer, at: number, end: number = bytes.length) {
    if (end > bytes.length) throw new RangeError("a part of a frame ends behind it");
    this.bytes = bytes;
    this.at = at;
    this.#end = end;
  }

  #advance(count: number): number {
    const { at } = this;
    if (count > this.#end - at) throw new RangeError("a frame ends too early");
    this.at = at + count;
    return at;
  }

  byte(): number {
    return this.bytes[this.#advance(1)]!;
  }

  short(): number {
    const at = this.#advance(2);
    return this.bytes[at]! | (this.bytes[at + 1]! << 8);
  }

  word(): number {
    return this.bytes.readUInt32LE(this.#advance(4));
  }

  text(): string {
    const length = this.short();
    const at = this.#advance(length);
    return internString(this.bytes, at, at + length);
  }

  /** The next `length` bytes, as a view. */
  take(length: number): Buffer {
    const at = this.#advance(length);
    return this.bytes.subarray(at, at + length);
  }

  align(origin: number, alignment: number): void {
    const over = (this.at - origin) % alignment;
    if (over !== 0) this.#advance(alignment - over);
  }
}
