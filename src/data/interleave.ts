/** float32 columns side by side become rows: four columns a pass, which keeps writes within few cache lines. */
import type { NumericArray } from "../tensor/index.js";
import type { Column } from "./column.js";
import type { Rows } from "./convert.js";

/** Rows of one pass: their tensor stays in the cache while all columns go by. */
const TILE = 2048;

/** Fills `out` from entry `at` on; false, with nothing written, unless all columns are float32 without nulls. */
export function interleave(
  names: readonly string[],
  columns: ReadonlyMap<string, Column>,
  rows: Rows,
  out: NumericArray,
  at: number,
): boolean {
  if (!(out instanceof Float32Array)) return false;
  const sources: Float32Array[] = [];
  for (const name of names) {
    const column = columns.get(name)!;
    if (column.kind !== "fixed" || column.valid !== null || !(column.values instanceof Float32Array))
      return false;
    sources.push(column.values);
  }
  const { order, from, to } = rows;
  for (let start = from; start < to; start += TILE) {
    const end = Math.min(to, start + TILE);
    const o = at + (start - from) * names.length;
    if (order === null) tile(sources, start, end, out, o);
    else gatherTile(sources, order, start, end, out, o);
  }
  return true;
}

function tile(
  sources: readonly Float32Array[],
  from: number,
  to: number,
  out: Float32Array,
  at: number,
): void {
  const width = sources.length;
  const count = to - from;
  let j = 0;
  for (; j + 4 <= width; j += 4) {
    const a = sources[j]!.subarray(from, to);
    const b = sources[j + 1]!.subarray(from, to);
    const c = sources[j + 2]!.subarray(from, to);
    const d = sources[j + 3]!.subarray(from, to);
    for (let i = 0, o = at + j; i < count; i++, o += width) {
      out[o] = a[i]!;
      out[o + 1] = b[i]!;
      out[o + 2] = c[i]!;
      out[o + 3] = d[i]!;
    }
  }
  for (; j < width; j++) {
    const a = sources[j]!;
    for (let i = 0, o = at + j; i < count; i++, o += width) out[o] = a[from + i]!;
  }
}

function gatherTile(
  sources: readonly Float32Array[],
  order: Uint32Array,
  from: number,
  to: number,
  out: Float32Array,
  at: number,
): void {
  const width = sources.length;
  for (let j = 0; j < width; j++) {
    const a = sources[j]!;
    for (let i = from, o = at + j; i < to; i++, o += width) out[o] = a[order[i]!]!;
  }
}
