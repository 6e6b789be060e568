/** Pages of a written column: levels and PLAIN values. */
import { TenonError } from "../../base/index.js";
import { bfloat16ToNumber } from "../../tensor/index.js";
import type { Column, FieldType } from "../column.js";

/** Values of one page, in bytes. */
const PAGE_BYTES = 2 ** 20;

/** Values are entries: values, nulls and empty lists. */
export interface Page {
  readonly body: Uint8Array;
  readonly values: number;
}

/** Memory that a page is put together in; each page takes the place of the one before. */
export class PageMemory {
  #bytes = new Uint8Array(0);

  take(size: number): Uint8Array {
    if (this.#bytes.length < size) this.#bytes = new Uint8Array(Math.ceil(size * 1.25));
    return this.#bytes.subarray(0, size);
  }
}

/** Pages of about a megabyte, one after the other; a page's body is gone when the next one is asked for. */
export function* pagesOf(
  name: string,
  field: FieldType,
  column: Column,
  rows: number,
  memory: PageMemory,
): Generator<Page, void> {
  const perPage = Math.max(
    1,
    Math.min(rows, Math.floor(PAGE_BYTES / Math.max(1, bytesPerRow(column, rows)))),
  );
  for (let from = 0; from < rows; from += perPage)
    yield pageOf(name, field, column, from, Math.min(rows, from + perPage), memory);
}

function bytesPerRow(column: Column, rows: number): number {
  if (rows === 0) return 1;
  if (column.kind === "fixed") return column.values.BYTES_PER_ELEMENT;
  const size = column.offsets[rows]! - column.offsets[0]!;
  return column.kind === "utf8" ? 4 + size / rows : (size / rows) * bytesPerRow(column.child, size);
}

function pageOf(
  name: string,
  field: FieldType,
  column: Column,
  from: number,
  to: number,
  memory: PageMemory,
): Page {
  const parts: Uint8Array[] = [];
  if (column.kind !== "list") {
    const { valid } = column;
    if (!field.nullable && valid !== null && valid.subarray(from, to).includes(0)) throw nullIn(name);
    if (field.nullable) parts.push(levelBlock(valid === null ? 1 : valid.subarray(from, to), to - from, 1));
    parts.push(...plain(column, from, to));
    return { body: joined(parts, memory), values: to - from };
  }
  const { repetition, definition, values } = listLevels(name, field, column, from, to);
  parts.push(levelBlock(repetition, values, 1), levelBlock(definition, values, field.nullable ? 3 : 2));
  const { child } = column;
  if (child.kind === "list")
    throw new TenonError("TENSOR_DTYPE", {
      problem: `column "${name}" holds lists of lists, which are not written`,
    });
  for (let row = from; row < to; ) {
    // Rows that are null may have elements, which are left out.
    while (row < to && column.valid !== null && column.valid[row] === 0) row++;
    let end = row;
    while (end < to && (column.valid === null || column.valid[end] === 1)) end++;
    if (end > row) parts.push(...plain(child, column.offsets[row]!, column.offsets[end]!));
    row = end;
  }
  return { body: joined(parts, memory), values };
}

function nullIn(name: string): TenonError {
  return new TenonError("TENSOR_VALUE", {
    problem: `column "${name}" has a null`,
    expected: "a value in every row, as its type says",
  });
}

function listLevels(
  name: string,
  field: FieldType,
  column: Extract<Column, { kind: "list" }>,
  from: number,
  to: number,
) {
  const { offsets, valid, child } = column;
  const most = offsets[to]! - offsets[from]! + (to - from);
  const repetition = new Uint8Array(most);
  const definition = new Uint8Array(most);
  const top = field.nullable ? 1 : 0;
  let values = 0;
  for (let row = from; row < to; row++) {
    const isNull = valid !== null && valid[row] === 0;
    if (isNull && !field.nullable) throw nullIn(name);
    const [start, end] = [offsets[row]!, offsets[row + 1]!];
    if (isNull || start === end) {
      definition[values++] = isNull ? 0 : top;
      continue;
    }
    for (let e = start; e < end; e++) {
      repetition[values] = e === start ? 0 : 1;
      definition[values++] = child.valid !== null && child.valid[e] === 0 ? top + 1 : top + 2;
    }
  }
  return { repetition, definition, values };
}

/** Levels with their length before them: one run where they are all equal, else packed bits. */
function levelBlock(levels: Uint8Array | number, count: number, max: number): Uint8Array {
  const width = max > 1 ? 2 : 1;
  const first = typeof levels === "number" ? levels : (levels[0] ?? 0);
  const constant = typeof levels === "number" || !levels.subarray(0, count).some((level) => level !== first);
  const body: number[] = [];
  const varint = (value: number): void => {
    for (; value >= 128; value = Math.floor(value / 128)) body.push((value % 128) | 128);
    body.push(value);
  };
  let packed = new Uint8Array(0);
  if (constant) {
    varint(count * 2);
    body.push(first);
  } else {
    const groups = Math.ceil(count / 8);
    varint(groups * 2 + 1);
    packed = new Uint8Array(groups * width);
    for (let i = 0; i < count; i++) {
      const bit = i * width;
      packed[bit >> 3]! |= (levels as Uint8Array)[i]! << (bit & 7);
    }
  }
  const block = new Uint8Array(4 + body.length + packed.length);
  new DataView(block.buffer).setUint32(0, body.length + packed.length, true);
  block.set(body, 4);
  block.set(packed, 4 + body.length);
  return block;
}

/** Values of `[from, to)` that are not null, in PLAIN encoding. */
function plain(column: Exclude<Column, { kind: "list" }>, from: number, to: number): Uint8Array[] {
  const { valid } = column;
  const gaps = valid?.subarray(from, to).includes(0) === true;
  const rows: number[] | undefined = gaps ? [] : undefined;
  if (rows !== undefined) for (let i = from; i < to; i++) if (valid![i] === 1) rows.push(i);
  const count = rows?.length ?? to - from;
  const at = (i: number): number => (rows === undefined ? from + i : rows[i]!);
  if (column.kind === "utf8") return [plainTexts(column, count, at)];
  const { values, dtype } = column;
  if (dtype === "bool") {
    const bits = new Uint8Array(Math.ceil(count / 8));
    for (let i = 0; i < count; i++) if (values[at(i)] !== 0) bits[i >> 3]! |= 1 << (i & 7);
    return [bits];
  }
  if (dtype === "bfloat16")
    return [
      bytesOf(Float32Array.from({ length: count }, (_, i) => bfloat16ToNumber(values[at(i)] as number))),
    ];
  if (values.BYTES_PER_ELEMENT < 4 && dtype !== "float16")
    return [bytesOf(Int32Array.from({ length: count }, (_, i) => values[at(i)] as number))];
  if (rows === undefined) return [bytesOf(values.subarray(from, to))];
  const dense = values.slice(0, count) as Float64Array; // one array type for both
  for (let i = 0; i < count; i++) dense[i] = (values as Float64Array)[rows[i]!]!;
  return [bytesOf(dense)];
}

function plainTexts(
  column: Extract<Column, { kind: "utf8" }>,
  count: number,
  at: (i: number) => number,
): Uint8Array {
  const { bytes, offsets } = column;
  let size = 4 * count;
  for (let i = 0; i < count; i++) size += offsets[at(i) + 1]! - offsets[at(i)]!;
  const out = new Uint8Array(size);
  let o = 0;
  for (let i = 0; i < count; i++) {
    const start = offsets[at(i)]!;
    const end = offsets[at(i) + 1]!;
    const length = end - start;
    out[o] = length & 255;
    out[o + 1] = (length >> 8) & 255;
    out[o + 2] = (length >> 16) & 255;
    out[o + 3] = length >>> 24;
    o += 4;
    if (length > 32) out.set(bytes.subarray(start, end), o);
    else for (let s = 0; s < length; s++) out[o + s] = bytes[start + s]!;
    o += length;
  }
  return out;
}

function bytesOf(values: ArrayBufferView): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
}

function joined(parts: readonly Uint8Array[], memory: PageMemory): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const bytes = memory.take(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
