/** Vectors as int8, each dimension spread over -128 to 127, as sentence-transformers' quantize_embeddings does it. */
import { TenonError } from "../base/index.js";

/** The least and the largest value of each dimension. */
export interface Int8Ranges {
  readonly least: ArrayLike<number>;
  readonly largest: ArrayLike<number>;
}

/** Ranges over the rows of a matrix. */
export function int8Ranges(data: Float32Array, rows: number, dims: number): Int8Ranges {
  const least = new Float32Array(dims).fill(Number.POSITIVE_INFINITY);
  const largest = new Float32Array(dims).fill(Number.NEGATIVE_INFINITY);
  for (let row = 0; row < rows; row++) {
    for (let j = 0; j < dims; j++) {
      const value = data[row * dims + j]!;
      if (value < least[j]!) least[j] = value;
      if (value > largest[j]!) largest[j] = value;
    }
  }
  return { least, largest };
}

/** Values outside the ranges become the ends. Throws DIMS_MISMATCH for ranges of another size, USAGE for too few rows. */
export function int8Matrix(data: Float32Array, rows: number, dims: number, ranges?: Int8Ranges): Int8Array {
  if (ranges === undefined && rows === 1) {
    throw new TenonError("USAGE", {
      problem: "one vector has no range of its own to be int8 by",
      do: "give { ranges }, made of many vectors by int8Ranges",
    });
  }
  const { least, largest } = ranges ?? int8Ranges(data, rows, dims);
  if (least?.length !== dims || largest?.length !== dims) {
    throw new TenonError("DIMS_MISMATCH", {
      problem: "the ranges are of vectors of another size",
      given: `${least?.length ?? "no least"} and ${largest?.length ?? "no largest"}`,
      expected: String(dims),
    });
  }
  const steps = Float32Array.from(least, (low, j) => Math.fround(Math.fround(largest[j]! - low) / 255));
  const out = new Int8Array(data.length);
  for (let i = 0; i < data.length; i++) {
    const j = i % dims;
    const step = steps[j]!;
    const place = step === 0 ? 0 : Math.fround(Math.fround(data[i]! - least[j]!) / step);
    out[i] = Math.max(-128, Math.min(127, Math.trunc(place - 128)));
  }
  return out;
}
