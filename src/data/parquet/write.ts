/** Writes Parquet: PLAIN values in pages of about a megabyte, by row group; equal columns give equal bytes. */
import { TenonError } from "../../base/index.js";
import { bfloat16ToNumber, type DType } from "../../tensor/index.js";
import { type Column, type FieldType, type Logical, printType } from "../column.js";
import { CODECS, type Codec, PHYSICAL, type Physical } from "./footer.js";
import { snappyCompress } from "./snappy.js";
import { columnStatistics } from "./statistics.js";
import { type ThriftField, writeThrift } from "./thrift.js";

export const MAGIC = new TextEncoder().encode("PAR1");

/** Values of one page, in bytes. */
const PAGE_BYTES = 2 ** 20;

export interface WriterOptions {
  /** Default "snappy". */
  readonly compression?: "snappy" | "none";
}

interface WrittenChunk {
  readonly name: string;
  readonly physical: Physical;
  readonly path: readonly string[];
  readonly values: number;
  readonly start: number;
  readonly compressed: number;
  readonly uncompressed: number;
  readonly statistics: readonly ThriftField[] | undefined;
}

/** Makes the bytes of a file, in order: `header`, row groups, `finish`. */
export class ParquetWriter {
  readonly #fields: ReadonlyMap<string, FieldType>;
  readonly #codec: Codec;
  readonly #groups: { readonly rows: number; readonly chunks: readonly WrittenChunk[] }[] = [];
  #at = MAGIC.length;
  #rows = 0;

  constructor(fields: ReadonlyMap<string, FieldType>, options: WriterOptions = {}) {
    this.#fields = fields;
    this.#codec = options.compression === "none" ? "UNCOMPRESSED" : "SNAPPY";
    for (const [name, field] of fields) storageOf(name, field);
  }

  get rows(): number {
    return this.#rows;
  }

  /** Pages of the columns, which have `rows` rows each. */
  rowGroup(columns: ReadonlyMap<string, Column>, rows: number): Uint8Array[] {
    const parts: Uint8Array[] = [];
    const chunks: WrittenChunk[] = [];
    for (const [name, field] of this.#fields) {
      const column = columns.get(name)!;
      const start = this.#at;
      const { physical, path } = storageOf(name, field);
      let compressed = 0;
      let uncompressed = 0;
      const { pages, entries } = pagesOf(name, field, column, rows);
      for (const page of pages) {
        const body = this.#codec === "SNAPPY" ? snappyCompress(page.body) : page.body;
        const header = writeThrift([
          [1, "i32", 0],
          [2, "i32", page.body.length],
          [3, "i32", body.length],
          [
            5,
            "struct",
            [
              [1, "i32", page.values],
              [2, "i32", 0],
              [3, "i32", 3],
              [4, "i32", 3],
            ],
          ],
        ]);
        parts.push(header, body);
        compressed += header.length + body.length;
        uncompressed += header.length + page.body.length;
      }
      this.#at += compressed;
      chunks.push({
        name,
        physical,
        path,
        values: entries,
        start,
        compressed,
        uncompressed,
        statistics: columnStatistics(column, rows),
      });
    }
    this.#groups.push({ rows, chunks });
    this.#rows += rows;
    return parts;
  }

  /** The footer, with texts of the writer's own. */
  finish(keyValues: Readonly<Record<string, string>> = {}): Uint8Array {
    const footer = writeThrift([
      [1, "i32", 2],
      [2, "structs", schemaElements(this.#fields)],
      [3, "i64", this.#rows],
      [4, "structs", this.#groups.map(({ rows, chunks }) => this.#groupFields(rows, chunks))],
      ...(Object.keys(keyValues).length === 0
        ? []
        : ([
            [
              5,
              "structs",
              Object.entries(keyValues).map(
                ([key, value]) =>
                  [
                    [1, "binary", key],
                    [2, "binary", value],
                  ] as const,
              ),
            ],
          ] as const)),
      [6, "binary", "tenon"],
    ]);
    const bytes = new Uint8Array(footer.length + 8);
    bytes.set(footer);
    new DataView(bytes.buffer).setUint32(footer.length, footer.length, true);
    bytes.set(MAGIC, footer.length + 4);
    return bytes;
  }

  #groupFields(rows: number, chunks: readonly WrittenChunk[]): readonly ThriftField[] {
    const columns = chunks.map(
      ({ physical, path, values, start, compressed, uncompressed, statistics }): readonly ThriftField[] => [
        [2, "i64", start],
        [
          3,
          "struct",
          [
            [1, "i32", PHYSICAL.indexOf(physical)],
            [2, "i32s", [0, 3]],
            [3, "texts", path],
            [4, "i32", CODECS.indexOf(this.#codec)],
            [5, "i64", values],
            [6, "i64", uncompressed],
            [7, "i64", compressed],
            [9, "i64", start],
            ...(statistics === undefined ? [] : ([[12, "struct", statistics]] as const)),
          ],
        ],
      ],
    );
    return [
      [1, "structs", columns],
      [2, "i64", chunks.reduce((sum, { uncompressed }) => sum + uncompressed, 0)],
      [3, "i64", rows],
    ];
  }
}

interface Storage {
  readonly physical: Physical;
  readonly path: readonly string[];
  readonly element: Exclude<FieldType["dtype"], object>;
  readonly isList: boolean;
}

const PHYSICAL_OF: Readonly<Partial<Record<DType | "utf8" | "binary", Physical>>> = {
  bool: "BOOLEAN",
  int8: "INT32",
  int16: "INT32",
  int32: "INT32",
  uint8: "INT32",
  uint16: "INT32",
  uint32: "INT32",
  int64: "INT64",
  uint64: "INT64",
  float32: "FLOAT",
  bfloat16: "FLOAT",
  float64: "DOUBLE",
  float16: "FIXED_LEN_BYTE_ARRAY",
  utf8: "BYTE_ARRAY",
  binary: "BYTE_ARRAY",
};

function storageOf(name: string, { dtype }: FieldType): Storage {
  const inner = typeof dtype === "string" ? dtype : "list" in dtype ? dtype.list : dtype.fixed;
  const physical = typeof inner === "string" ? PHYSICAL_OF[inner] : undefined;
  if (physical === undefined || typeof inner !== "string") {
    throw new TenonError("TENSOR_DTYPE", {
      problem: `column "${name}" cannot be written to Parquet`,
      given: printType(dtype),
      expected: "numbers, bools, texts, bytes, or lists of them",
    });
  }
  const isList = typeof dtype !== "string";
  return { physical, path: isList ? [name, "list", "element"] : [name], element: inner, isList };
}

function schemaElements(fields: ReadonlyMap<string, FieldType>): ThriftField[][] {
  const elements: ThriftField[][] = [
    [
      [4, "binary", "schema"],
      [5, "i32", fields.size],
    ],
  ];
  for (const [name, field] of fields) {
    const { isList, element } = storageOf(name, field);
    const repetition = field.nullable ? 1 : 0;
    if (!isList) {
      elements.push(leafElement(name, element, repetition, field.logical));
      continue;
    }
    elements.push(
      [
        [3, "i32", repetition],
        [4, "binary", name],
        [5, "i32", 1],
        [6, "i32", 3],
        [10, "struct", [[3, "struct", []]]],
      ],
      [
        [3, "i32", 2],
        [4, "binary", "list"],
        [5, "i32", 1],
      ],
      leafElement("element", element, 1, field.logical),
    );
  }
  return elements;
}

const UNITS = { ms: 1, us: 2, ns: 3 } as const;
const INTEGERS: Readonly<Record<string, readonly [bits: number, signed: boolean, converted: number]>> = {
  uint8: [8, false, 11],
  uint16: [16, false, 12],
  uint32: [32, false, 13],
  uint64: [64, false, 14],
  int8: [8, true, 15],
  int16: [16, true, 16],
};

function leafElement(
  name: string,
  dtype: string,
  repetition: number,
  logical: Logical | undefined,
): ThriftField[] {
  const physical = PHYSICAL_OF[dtype as DType]!; // checked by storageOf
  const fields: ThriftField[] = [[1, "i32", PHYSICAL.indexOf(physical)]];
  if (dtype === "float16") fields.push([2, "i32", 2]);
  fields.push([3, "i32", repetition], [4, "binary", name]);
  const integer = INTEGERS[dtype];
  if (dtype === "utf8") fields.push([6, "i32", 0], [10, "struct", [[1, "struct", []]]]);
  else if (dtype === "float16") fields.push([10, "struct", [[15, "struct", []]]]);
  else if (integer !== undefined)
    // The bit width is one signed byte, which `i32` of a value below 64 is not; the converted type says the same.
    fields.push([6, "i32", integer[2]]);
  else if (logical?.kind === "decimal" && dtype !== "utf8")
    fields.push([6, "i32", 5], [7, "i32", logical.scale], [8, "i32", logical.precision]);
  else if (logical?.kind === "date") fields.push([6, "i32", 6], [10, "struct", [[6, "struct", []]]]);
  else if (logical?.kind === "timestamp")
    fields.push([
      10,
      "struct",
      [
        [
          8,
          "struct",
          [
            [1, "bool", logical.utc],
            [2, "struct", [[UNITS[logical.unit], "struct", []]]],
          ],
        ],
      ],
    ]);
  else if (logical?.kind === "time")
    fields.push([
      10,
      "struct",
      [
        [
          7,
          "struct",
          [
            [1, "bool", false],
            [2, "struct", [[UNITS[logical.unit], "struct", []]]],
          ],
        ],
      ],
    ]);
  return fields;
}

interface Page {
  readonly body: Uint8Array;
  readonly values: number;
}

function pagesOf(
  name: string,
  field: FieldType,
  column: Column,
  rows: number,
): { pages: Page[]; entries: number } {
  const perPage = Math.max(
    1,
    Math.min(rows, Math.floor(PAGE_BYTES / Math.max(1, bytesPerRow(column, rows)))),
  );
  const pages: Page[] = [];
  let entries = 0;
  for (let from = 0; from < rows; from += perPage) {
    const page = pageOf(name, field, column, from, Math.min(rows, from + perPage));
    entries += page.values;
    pages.push(page);
  }
  return { pages, entries };
}

function bytesPerRow(column: Column, rows: number): number {
  if (rows === 0) return 1;
  if (column.kind === "fixed") return column.values.BYTES_PER_ELEMENT;
  const size = column.offsets[rows]! - column.offsets[0]!;
  return column.kind === "utf8" ? 4 + size / rows : (size / rows) * bytesPerRow(column.child, size);
}

function pageOf(name: string, field: FieldType, column: Column, from: number, to: number): Page {
  const parts: Uint8Array[] = [];
  if (column.kind !== "list") {
    const { valid } = column;
    if (!field.nullable && valid !== null && valid.subarray(from, to).includes(0)) throw nullIn(name);
    if (field.nullable) parts.push(levelBlock(valid === null ? 1 : valid.subarray(from, to), to - from, 1));
    parts.push(...plain(column, from, to));
    return { body: joined(parts), values: to - from };
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
  return { body: joined(parts), values };
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

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
