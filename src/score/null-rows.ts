/** Outputs of a batch with nulls where rows could not be scored. */
import { type Column, tensorColumn } from "../data/index.js";
import { allocateStorage, type DType, type Tensor } from "../tensor/index.js";

export class NullRows {
  readonly #rows: number;
  readonly #good: readonly number[];

  constructor(rows: number, good: readonly number[]) {
    this.#rows = rows;
    this.#good = good;
  }

  /** The column of an output whose tensor has a row for each good row. */
  column(name: string, dtype: DType, list: number | null, tensor: Tensor | undefined): Column {
    const valid = new Uint8Array(this.#rows);
    for (const row of this.#good) valid[row] = 1;
    const found = tensor === undefined ? undefined : tensorColumn(name, tensor).column;
    const lists = list !== null || found?.kind === "list";
    const width = !lists || tensor === undefined ? 1 : tensor.size / Math.max(1, tensor.shape[0]!);
    if (dtype === "string") {
      // Texts: empty where there is a null.
      const source = found?.kind === "utf8" ? found : undefined;
      const offsets = new Int32Array(this.#rows + 1);
      let next = 0;
      for (let row = 0; row < this.#rows; row++) {
        const size = valid[row] === 1 ? source!.offsets[next + 1]! - source!.offsets[next++]! : 0;
        offsets[row + 1] = offsets[row]! + size;
      }
      return { kind: "utf8", dtype: "utf8", bytes: source?.bytes ?? new Uint8Array(0), offsets, valid };
    }
    const inner = found?.kind === "list" ? found.child : found;
    if (lists) {
      const offsets = new Int32Array(this.#rows + 1);
      for (let row = 0; row < this.#rows; row++)
        offsets[row + 1] = offsets[row]! + (valid[row] === 1 ? width : 0);
      const child = inner ?? { kind: "fixed", dtype, values: allocateStorage(dtype, 0), valid: null };
      return { kind: "list", offsets, child, valid };
    }
    const values = allocateStorage(dtype, this.#rows) as Float64Array; // one array type on both sides
    if (inner?.kind === "fixed")
      this.#good.forEach((row, i) => void (values[row] = (inner.values as Float64Array)[i]!));
    return { kind: "fixed", dtype, values, valid };
  }
}
