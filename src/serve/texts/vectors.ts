/** Vectors as an answer needs them: cut, brought to length 1, written as JSON or base64, a slice at a time. */
import { TenonError } from "../../base/index.js";
import type { JsonWriter } from "../json/writer.js";
import type { TextVectors } from "./model.js";

type Matrix = Pick<TextVectors, "data" | "rows" | "dims">;

/** The first numbers of each vector, brought to length 1. Throws DIMS_MISMATCH. */
export function cutVectors(vectors: Matrix, dims: number): Matrix {
  if (dims > vectors.dims) {
    throw new TenonError("DIMS_MISMATCH", {
      problem: "the model's vectors have fewer dimensions than was asked for",
      given: String(dims),
      expected: `1 to ${vectors.dims}`,
      details: { field: "dimensions" },
    });
  }
  const data = new Float32Array(vectors.rows * dims);
  for (let row = 0; row < vectors.rows; row++)
    data.set(vectors.data.subarray(row * vectors.dims, row * vectors.dims + dims), row * dims);
  return unitVectors({ data, rows: vectors.rows, dims });
}

export function unitVectors({ data, rows, dims }: Matrix): Matrix {
  const unit = new Float32Array(data.length);
  for (let row = 0; row < rows; row++) {
    let sum = 0;
    for (let j = row * dims; j < (row + 1) * dims; j++) sum += data[j]! * data[j]!;
    const length = Math.max(Math.sqrt(sum), 1e-12);
    for (let j = row * dims; j < (row + 1) * dims; j++) unit[j] = data[j]! / length;
  }
  return { data: unit, rows, dims };
}

/** Numbers written before the event loop gets its turn. */
const SLICE_NUMBERS = 16_384;

/** `[before]row[behind]` for each row, with commas between; the event loop is not held for long. */
export async function writeRows(
  writer: JsonWriter,
  { data, rows, dims }: Matrix,
  row: (at: number, numbers: () => void) => void,
): Promise<void> {
  let written = 0;
  for (let at = 0; at < rows; at++) {
    if (at > 0) writer.ascii(",");
    row(at, () => {
      writer.ascii("[");
      writer.float32s(data, at * dims, (at + 1) * dims, { floats: "float", nonFinite: "null" });
      writer.ascii("]");
    });
    written += dims;
    if (written < SLICE_NUMBERS) continue;
    written = 0;
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
}

/** Little-endian float32, as the clients of OpenAI read it. */
export function base64Row({ data, dims }: Matrix, row: number): string {
  return Buffer.from(data.buffer, data.byteOffset + 4 * row * dims, 4 * dims).toString("base64");
}
