/** Rows of columns taken, cut out and joined; cutting out is a view, the others copy. */
import { TenonError } from "../base/index.js";
import type { NumericArray } from "../tensor/index.js";
import { allocateStorage } from "../tensor/index.js";
import { type Column, printType, type TextColumn, typeOf } from "./column.js";

/** Rows `[from, to)`: a view. */
export function sliceColumn(column: Column, from: number, to: number): Column {
  const valid = column.valid === null ? null : column.valid.subarray(from, to);
  if (column.kind === "fixed")
    return { ...column, values: column.values.subarray(from, to) as NumericArray, valid };
  return { ...column, offsets: column.offsets.subarray(from, to + 1), valid };
}

/** Rows `[from, to)`, copied: they stay when the memory of `column` changes. */
export function copyRows(column: Column, from: number, to: number): Column {
  const valid = column.valid === null ? null : column.valid.slice(from, to);
  if (column.kind === "fixed")
    return { ...column, values: column.values.slice(from, to) as NumericArray, valid };
  const [start, end] = [column.offsets[from]!, column.offsets[to]!];
  const offsets = column.offsets.slice(from, to + 1).map((offset) => offset - start);
  return column.kind === "list"
    ? { ...column, offsets, child: copyRows(column.child, start, end), valid }
    : { ...column, offsets, bytes: new Uint8Array(column.bytes.subarray(start, end)), valid }; // a Buffer's slice is a view
}

/** The rows of `order`, copied. */
export function takeRows(column: Column, order: Uint32Array): Column {
  const rows = order.length;
  let valid: Uint8Array | null = null;
  if (column.valid !== null) {
    valid = new Uint8Array(rows);
    for (let i = 0; i < rows; i++) valid[i] = column.valid[order[i]!]!;
  }
  if (column.kind === "fixed") {
    const values = allocateStorage(column.dtype, rows);
    takeValues(column.values, order, values);
    return { ...column, values, valid };
  }
  const offsets = new Int32Array(rows + 1);
  for (let i = 0; i < rows; i++)
    offsets[i + 1] = offsets[i]! + column.offsets[order[i]! + 1]! - column.offsets[order[i]!]!;
  if (column.kind === "list") {
    const elements = new Uint32Array(offsets[rows]!);
    let at = 0;
    for (let i = 0; i < rows; i++)
      for (let e = column.offsets[order[i]!]!; e < column.offsets[order[i]! + 1]!; e++) elements[at++] = e;
    return { ...column, offsets, child: takeRows(column.child, elements), valid };
  }
  return { ...column, bytes: takeBytes(column, order, offsets), offsets, valid };
}

function takeBytes(column: TextColumn, order: Uint32Array, offsets: Int32Array): Uint8Array {
  const bytes = new Uint8Array(offsets[order.length]!);
  for (let i = 0; i < order.length; i++) {
    const [start, end] = [column.offsets[order[i]!]!, column.offsets[order[i]! + 1]!];
    let at = offsets[i]!;
    if (end - start > 32) bytes.set(column.bytes.subarray(start, end), at);
    else for (let s = start; s < end; s++) bytes[at++] = column.bytes[s]!;
  }
  return bytes;
}

function takeValues(from: NumericArray, order: Uint32Array, to: NumericArray): void {
  // Both have one type, since one dtype made them.
  const [source, target] = [from as Float64Array, to as Float64Array];
  for (let i = 0; i < order.length; i++) target[i] = source[order[i]!]!;
}

/** Offsets are 32-bit integers. */
const MAX_OFFSET = 2 ** 31 - 1;

/** One column of all rows, in order. Throws FILE_INVALID when the types differ, or the sizes add up to 2 GiB. */
export function joinColumns(
  name: string,
  parts: readonly { readonly column: Column; readonly rows: number }[],
): Column {
  const first = parts[0]!.column;
  if (parts.length === 1) return first;
  const type = printType(typeOf(first));
  for (const { column } of parts) {
    if (printType(typeOf(column)) !== type)
      throw new TenonError("FILE_INVALID", {
        problem: `column "${name}" has two types`,
        given: printType(typeOf(column)),
        expected: type,
      });
  }
  const total = parts.reduce((sum, { rows }) => sum + rows, 0);
  let valid: Uint8Array | null = null;
  if (parts.some(({ column }) => column.valid !== null)) {
    valid = new Uint8Array(total).fill(1);
    let at = 0;
    for (const { column, rows } of parts) {
      if (column.valid !== null) valid.set(column.valid.subarray(0, rows), at);
      at += rows;
    }
  }
  if (first.kind === "fixed") {
    const values = allocateStorage(first.dtype, total);
    let at = 0;
    for (const { column, rows } of parts) {
      if (column.kind !== "fixed") continue;
      // Same dtype, hence the same array type.
      (values as Float64Array).set(column.values.subarray(0, rows) as Float64Array, at);
      at += rows;
    }
    return { ...first, values, valid };
  }
  const offsets = new Int32Array(total + 1);
  let at = 0;
  let length = 0;
  for (const { column, rows } of parts) {
    if (column.kind === "fixed") continue;
    const size = length + column.offsets[rows]! - column.offsets[0]!;
    if (size > MAX_OFFSET)
      throw new TenonError("FILE_INVALID", {
        problem: `column "${name}" is too large to be kept as one`,
        given: `${size} bytes or elements`,
        expected: `at most ${MAX_OFFSET}`,
        do: "use a smaller shuffle window, or smaller row groups",
      });
    const start = column.offsets[0]!;
    for (let i = 0; i < rows; i++) offsets[at + i + 1] = length + column.offsets[i + 1]! - start;
    at += rows;
    length = offsets[at]!;
  }
  if (first.kind === "list") {
    const children = parts.flatMap(({ column, rows }) => {
      if (column.kind !== "list") return [];
      const [start, end] = [column.offsets[0]!, column.offsets[rows]!];
      return [{ column: sliceColumn(column.child, start, end), rows: end - start }];
    });
    return { ...first, offsets, child: joinColumns(name, children), valid };
  }
  const bytes = new Uint8Array(length);
  let o = 0;
  for (const { column, rows } of parts) {
    if (column.kind !== "utf8") continue;
    const part = column.bytes.subarray(column.offsets[0]!, column.offsets[rows]!);
    bytes.set(part, o);
    o += part.length;
  }
  return { ...first, bytes, offsets, valid };
}
