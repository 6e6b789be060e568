/** Memory of bytes that were decoded, for those that are read next. */

/** Buffers that are kept: two row groups are read ahead of the window that is given out. */
const KEPT = 3;

export class SpareBytes {
  readonly #buffers: ArrayBuffer[] = [];

  take(length: number): Uint8Array {
    const at = this.#buffers.findIndex(({ byteLength }) => byteLength >= length);
    // Row groups differ a little in size.
    const buffer = at < 0 ? new ArrayBuffer(length + (length >> 4)) : this.#buffers.splice(at, 1)[0]!;
    return new Uint8Array(buffer, 0, length);
  }

  /** Keeps the largest few: row groups that are read at one time give theirs back together. */
  give(bytes: Uint8Array): void {
    this.#buffers.push(bytes.buffer as ArrayBuffer); // take() made it
    this.#buffers.sort((a, b) => b.byteLength - a.byteLength).splice(KEPT);
  }
}
