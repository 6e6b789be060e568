/** Memory of released batches, given to the next ones: fresh memory costs more than filling it. */
import {
  allocateStorage,
  byteLengthOf,
  type DType,
  type NumericArray,
  viewStorage,
} from "../tensor/index.js";

/** Buffers kept at most for each size. */
const KEPT = 16;

export class BatchMemory {
  readonly #free = new Map<number, ArrayBuffer[]>();

  /** Storage for `entries` elements; what it holds is left over from before. */
  take(dtype: DType, entries: number): NumericArray {
    const size = byteLengthOf(dtype, entries);
    const buffer = this.#free.get(size)?.pop();
    return buffer === undefined ? allocateStorage(dtype, entries) : viewStorage(dtype, buffer, 0, entries);
  }

  give(values: NumericArray): void {
    const buffer = values.buffer as ArrayBuffer;
    const list = this.#free.get(buffer.byteLength) ?? [];
    if (list.length < KEPT) list.push(buffer);
    this.#free.set(buffer.byteLength, list);
  }
}
