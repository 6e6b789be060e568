/** float32 columns side by side become rows: four columns a pass, which keeps writes within few cache lines. */
import type { NumericArray } from "../tensor/index.js";
import type { Column } from "./column.js";
import type { Rows } from "./convert.js";
import type { Source } from "./row-source.js";
import { stagedRows } from "./row-stage.js";

/** Rows of one pass: their tensor stays in the cache while all columns go by. */
const TILE = 2048;
/** Where fewer rows than one in so many are taken, the others are not worth being interleaved. */
const SPARSE = 4;

/** Fills `out` from entry `at` on; false, with nothing written, unless all columns are float32 without nulls. */
export function interleave(
  names: readonly string[],
  source: Source,
  rows: Rows,
  out: NumericArray,
  at: number,
): boolean {
  if (!(out instanceof Float32Array)) return false;
  if (inWorkspace(names, source, rows, out, at)) return true;
  const sources = floatColumns(names, source.columns);
  if (sources === undefined) return false;
  const { order, from, to } = rows;
  if (order !== null && order.length * SPARSE < sources[0]!.length) {
    sources.forEach((column, j) => {
      for (let i = from, o = at + j; i < to; i++, o += names.length) out[o] = column[order[i]!]!;
    });
    return true;
  }
  if (order !== null) {
    gather(sources, names.join("\u0000"), { order, from, to }, out, at);
    return true;
  }
  if (stagedRows(sources, from, to, out, at)) return true;
  for (let start = from; start < to; start += TILE) {
    const end = Math.min(to, start + TILE);
    const o = at + (start - from) * names.length;
    tile(sources, start, end, out, o);
  }
  return true;
}

/** The columns' values; undefined unless all are float32 without nulls. */
function floatColumns(
  names: readonly string[],
  columns: Pick<ReadonlyMap<string, Column>, "get">,
): Float32Array[] | undefined {
  const sources: Float32Array[] = [];
  for (const name of names) {
    const column = columns.get(name)!;
    if (column.kind !== "fixed" || column.valid !== null || !(column.values instanceof Float32Array))
      return undefined;
    sources.push(column.values);
  }
  return sources;
}

/** By the kernels of the workspace, where every column lies in its memory. */
function inWorkspace(
  names: readonly string[],
  { parts, workspace }: Source,
  { order, from, to }: Rows,
  out: Float32Array,
  at: number,
): boolean {
  if (workspace === undefined || parts === undefined) return false;
  const floats: { readonly rows: number; readonly columns: readonly Float32Array[] }[] = [];
  let total = 0;
  for (const part of parts) {
    const columns = floatColumns(names, part.columns);
    if (columns?.every((values) => workspace.holds(values)) !== true) return false;
    floats.push({ rows: part.rows, columns });
    total += part.rows;
  }
  if (order !== null) {
    if (order.length * SPARSE < total) return false;
    return workspace.taken(names.join("\u0000"), floats, order, from, to, out, at);
  }
  let before = 0;
  for (const { rows, columns } of floats) {
    const [start, end] = [Math.max(from, before), Math.min(to, before + rows)];
    if (start < end)
      workspace.rows(columns, start - before, end - before, out, at + (start - from) * names.length);
    before += rows;
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

/** Windows as whole rows: the rows of a shuffle are then taken from one place each, not from one in every column. */
const wholeRows = new WeakMap<Uint32Array, Map<string, Float32Array>>();

/** Rows of `order`, by way of the interleaved window; the batches of a window share that. */
function gather(
  sources: readonly Float32Array[],
  key: string,
  { order, from, to }: Rows & { readonly order: Uint32Array },
  out: Float32Array,
  at: number,
): void {
  const width = sources.length;
  const known = wholeRows.get(order) ?? new Map<string, Float32Array>();
  wholeRows.set(order, known);
  let rows = known.get(key);
  if (rows === undefined) {
    const total = sources[0]!.length;
    rows = new Float32Array(total * width);
    for (let start = 0; start < total; start += TILE)
      tile(sources, start, Math.min(total, start + TILE), rows, start * width);
    known.set(key, rows);
  }
  for (let i = from, o = at; i < to; i++) {
    const start = order[i]! * width;
    for (let j = 0; j < width; j++) out[o++] = rows[start + j]!;
  }
}
