/** Vectors in another type of output, as the graphs of dense models give them. */
import { cast, tensorFromStorage } from "../../tensor/index.js";
import type { OutputType } from "../graph/names.js";
import type { MatrixData } from "../matrix.js";
import { type Int8Ranges, int8Matrix } from "../quantise.js";

/** `data` is [rows, dims]. Throws what `int8Matrix` throws. */
export function packed(
  data: Float32Array,
  rows: number,
  dims: number,
  output: OutputType,
  ranges: Int8Ranges | undefined,
): MatrixData {
  if (output === "float32") return data;
  if (output === "int8") return int8Matrix(data, rows, dims, ranges);
  if (output === "float16") {
    // A cast to float16 is stored as its bit patterns.
    return cast(tensorFromStorage("float32", [rows, dims], data), "float16").data as unknown as Uint16Array;
  }
  const width = Math.ceil(dims / 8);
  const bits = new Uint8Array(rows * width);
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < dims; j++)
      if (data[row * dims + j]! > 0) bits[row * width + (j >> 3)]! |= 128 >> (j & 7);
  }
  return output === "ubinary" ? bits : Int8Array.from(bits, (value) => value - 128);
}
