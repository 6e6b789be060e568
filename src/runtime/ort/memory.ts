/** Memory that C reads and writes: JavaScript-owned buffers with stable addresses, so that nothing has to be freed. */
import type { OrtLibrary } from "./library.js";

/** A block of 8-byte words (pointers, sizes, int64 dims). The address is valid while this object is referenced. */
export class Words {
  readonly words: BigUint64Array;
  readonly address: bigint;

  constructor(library: OrtLibrary, count: number) {
    this.words = new BigUint64Array(new ArrayBuffer(Math.max(count, 1) * 8));
    this.address = library.koffi.address(this.words);
  }
}

const encoder = new TextEncoder();

/** NUL-terminated UTF-8 strings and the array of pointers to them (`char **`). */
export class CStrings {
  readonly pointers: Words;
  readonly #bytes: Uint8Array[];

  constructor(library: OrtLibrary, texts: readonly string[]) {
    this.#bytes = texts.map((text) => {
      const encoded = encoder.encode(text);
      const bytes = new Uint8Array(new ArrayBuffer(encoded.length + 1));
      bytes.set(encoded);
      return bytes;
    });
    this.pointers = new Words(library, texts.length);
    this.#bytes.forEach((bytes, i) => {
      this.pointers.words[i] = library.koffi.address(bytes);
    });
  }

  get length(): number {
    return this.#bytes.length;
  }
}
