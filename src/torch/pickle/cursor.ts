/** A reading position in a file, over a window of it that moves along. */
import { damaged } from "../invalid.js";
import type { Region } from "../region.js";

const WINDOW = 64 * 1024;

/** Reads numbers and bytes one after the other; reading past the end throws FILE_INVALID. */
export class Cursor {
  readonly #region: Region;
  /** Where `#bytes` begins in the region. */
  #base = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #view: DataView = new DataView(new ArrayBuffer(0));
  #at = 0;

  constructor(region: Region) {
    this.#region = region;
  }

  get position(): number {
    return this.#base + this.#at;
  }

  u8(): number {
    this.#need(1);
    return this.#bytes[this.#at++]!;
  }

  u16(): number {
    this.#need(2);
    this.#at += 2;
    return this.#view.getUint16(this.#at - 2, true);
  }

  i32(): number {
    this.#need(4);
    this.#at += 4;
    return this.#view.getInt32(this.#at - 4, true);
  }

  u32(): number {
    return this.i32() >>> 0;
  }

  /** A 64-bit count; beyond 2^53 it is larger than any file. */
  u64(): number {
    this.#need(8);
    this.#at += 8;
    return Number(this.#view.getBigUint64(this.#at - 8, true));
  }

  /** The one big-endian number of the format. */
  f64(): number {
    this.#need(8);
    this.#at += 8;
    return this.#view.getFloat64(this.#at - 8, false);
  }

  /** The next bytes; a view that must not be kept. */
  take(length: number): Uint8Array {
    this.#need(length);
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  /** The next bytes up to a line feed, which is passed over. */
  line(maxLength: number): Uint8Array {
    let length = 0;
    for (;;) {
      this.#need(length + 1);
      if (this.#bytes[this.#at + length] === 0x0a) break;
      if (++length > maxLength) throw damaged("a line of the pickle is too long");
    }
    const line = this.take(length);
    this.#at++;
    return line;
  }

  /** Passes over bytes without reading them. */
  skip(length: number): void {
    const position = this.position + length;
    if (!(position <= this.#region.size)) throw damaged("the file is cut off");
    this.#base = position;
    this.#at = 0;
    this.#bytes = new Uint8Array(0);
  }

  #need(length: number): void {
    if (this.#at + length <= this.#bytes.length) return;
    const position = this.position;
    const left = this.#region.size - position;
    if (!(length <= left))
      throw damaged("the pickle is cut off", { given: `${left} bytes left at ${position}` });
    this.#bytes = this.#region.bytes(position, Math.min(Math.max(length, WINDOW), left));
    this.#view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, this.#bytes.byteLength);
    this.#base = position;
    this.#at = 0;
  }
}
