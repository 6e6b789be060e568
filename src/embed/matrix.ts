/** EmbedMatrix: one vector a text, row by row in one typed array. */
import { TenonError } from "../base/index.js";
import { type Tensor, tensorFromStorage } from "../tensor/core.js";

/** `float16` as bit patterns, `int8` and `binary` signed, `ubinary` unsigned. */
export type MatrixData = Float32Array | Uint16Array | Int8Array | Uint8Array;

export class EmbedMatrix<D extends MatrixData = MatrixData> {
  /** Row-major: `data[i * dims + j]`. */
  readonly data: D;
  /** Number of texts. */
  readonly rows: number;
  /** Elements of a row; bytes where bits are packed. */
  readonly dims: number;
  /** Tokens of each text, special ones included, after it was cut. */
  readonly tokens: Uint32Array;
  /** Indices of the texts that were cut. */
  readonly truncated: readonly number[];

  constructor(data: D, rows: number, dims: number, tokens: Uint32Array, truncated: readonly number[]) {
    this.data = data;
    this.rows = rows;
    this.dims = dims;
    this.tokens = tokens;
    this.truncated = truncated;
  }

  /** A view on one vector. Throws USAGE for an index that is not there. */
  row(index: number): D {
    if (!Number.isInteger(index) || index < 0 || index >= this.rows) {
      throw new TenonError("USAGE", {
        problem: "no such row",
        given: String(index),
        expected: `0 to ${this.rows - 1}`,
      });
    }
    return this.data.subarray(index * this.dims, (index + 1) * this.dims) as D; // the same kind of array
  }

  /** [rows, dims] on the same memory. */
  tensor(): Tensor {
    const { data } = this;
    const shape = [this.rows, this.dims];
    if (data instanceof Float32Array) return tensorFromStorage("float32", shape, data) as Tensor;
    if (data instanceof Uint16Array) return tensorFromStorage("float16", shape, data) as Tensor;
    if (data instanceof Int8Array) return tensorFromStorage("int8", shape, data) as Tensor;
    return tensorFromStorage("uint8", shape, data as Uint8Array) as Tensor;
  }
}
