/** BufferPool: output memory that is used again once its reader has disposed of it; otherwise the garbage collector has it. */

/** Below this size a fresh buffer costs less than keeping books. */
const POOLED_FROM = 64 * 1024;

export class BufferPool {
  readonly #free = new Map<number, ArrayBuffer[]>();
  #bytes = 0;
  readonly #limit: number;

  /** Keeps at most `limit` bytes of unused buffers. */
  constructor(limit = 256 << 20) {
    this.#limit = limit;
  }

  /** A buffer of exactly `bytes` bytes; its content is undefined when it was used before, so it must be written whole. */
  take(bytes: number): ArrayBuffer {
    const list = this.#free.get(bytes);
    const buffer = list?.pop();
    if (buffer === undefined) return new ArrayBuffer(bytes);
    this.#bytes -= bytes;
    if (list!.length === 0) this.#free.delete(bytes);
    return buffer;
  }

  /** Gives a buffer back; nobody may read it any more. */
  give(buffer: ArrayBuffer): void {
    const bytes = buffer.byteLength;
    if (bytes < POOLED_FROM || this.#bytes + bytes > this.#limit) return;
    const list = this.#free.get(bytes);
    if (list === undefined) this.#free.set(bytes, [buffer]);
    else list.push(buffer);
    this.#bytes += bytes;
  }

  clear(): void {
    this.#free.clear();
    this.#bytes = 0;
  }
}
