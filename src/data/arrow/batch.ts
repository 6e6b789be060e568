/** A record batch of Arrow's IPC format as columns: buffers viewed where they lie well, copied where they do not. */
import { decompress as zstdInScript } from "fzstd";
import { allocateStorage, type DType, type NumericArray, viewStorage } from "../../tensor/index.js";
import type { Column, FixedColumn, TextColumn } from "../column.js";
import { decimalColumn } from "../parquet/decimal.js";
import { lz4Decompress } from "../parquet/lz4.js";
import { sliceColumn, takeRows } from "../rows.js";
import { damaged, type FlatTable } from "./flat.js";
import { type ArrowField, dtypeOf } from "./schema.js";

/** Most rows of one batch: masks and offsets are made for them, whatever the file's size. */
const MAX_ROWS = 2 ** 28;
/** Most bytes that a buffer may have when it is decompressed. */
const MAX_BUFFER = 2 ** 31 - 1;

/** Columns of a dictionary by its id. */
export type Dictionaries = ReadonlyMap<number, Column>;

/** What a field gives: a column, or the named columns of a struct. */
type Piece = Column | Struct;
interface Struct {
  readonly kind: "struct";
  readonly fields: readonly (readonly [string, Piece])[];
}

/** Hands out the nodes and buffers of a batch in the order of its fields. */
class Feed {
  readonly #nodes: number[][];
  readonly #buffers: number[][];
  readonly #variadic: number[][];
  readonly #codec: number | undefined;
  readonly #body: Uint8Array;
  #node = 0;
  #buffer = 0;
  #views = 0;

  constructor(batch: FlatTable, body: Uint8Array) {
    this.#nodes = batch.structs(1, 2);
    this.#buffers = batch.structs(2, 2);
    this.#variadic = batch.structs(4, 1);
    this.#codec = batch.table(3)?.byte(0, 0);
    this.#body = body;
  }

  node(): { rows: number; nulls: number } {
    const node = this.#nodes[this.#node++];
    if (node === undefined) throw damaged("a batch has fewer fields than its schema");
    if (node[0]! > MAX_ROWS) throw damaged("a batch has too many rows", String(node[0]));
    return { rows: node[0]!, nulls: node[1]! };
  }

  skip(): void {
    this.#buffer++;
  }

  /** The next buffer, of at least `least` bytes. */
  bytes(least: number): Uint8Array {
    const place = this.#buffers[this.#buffer++];
    if (place === undefined) throw damaged("a batch has fewer buffers than its schema needs");
    const [offset, length] = place as [number, number];
    if (offset + length > this.#body.length) throw damaged("a buffer lies outside of its batch");
    const stored = this.#body.subarray(offset, offset + length);
    const bytes = this.#codec === undefined || length === 0 ? stored : inflated(stored, this.#codec);
    if (bytes.length < least) throw damaged("a buffer is too short", `${bytes.length} bytes for ${least}`);
    return bytes;
  }

  /** Number of data buffers of a column of views. */
  variadic(): number {
    const count = this.#variadic[this.#views++]?.[0];
    if (count === undefined) throw damaged("a column of views has no count of buffers");
    return count;
  }
}

/** Compressed buffers start with their size; -1: this one is not compressed. */
function inflated(stored: Uint8Array, codec: number): Uint8Array {
  const view = new DataView(stored.buffer, stored.byteOffset, stored.length);
  const size = Number(view.getBigInt64(0, true));
  const packed = stored.subarray(8);
  if (size === -1) return packed;
  // Both codecs give at most 255 bytes for one, but for runs of a byte in zstd.
  if (!(size >= 0 && size <= MAX_BUFFER)) throw damaged("a buffer has no size", String(size));
  if (codec === 1) return exact(zstdInScript(packed, new Uint8Array(size)), size);
  if (codec === 0) return lz4Frame(packed, size);
  throw damaged("a batch has an unknown codec", String(codec));
}

function exact(bytes: Uint8Array, size: number): Uint8Array {
  if (bytes.length !== size) throw damaged("a buffer has another size than it says");
  return bytes;
}

/** LZ4's frame format (lz4_Frame_format.md): blocks that may refer to the ones before. */
function lz4Frame(bytes: Uint8Array, size: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getUint32(0, true) !== 0x184d2204) throw damaged("a buffer is no LZ4 frame");
  const flags = view.getUint8(4);
  let at = 7 + (flags & 8 ? 8 : 0) + (flags & 1 ? 4 : 0);
  const out = new Uint8Array(size);
  let written = 0;
  for (;;) {
    const head = view.getUint32(at, true);
    at += 4;
    if (head === 0) return exact(out.subarray(0, written), size);
    const length = head & 0x7fffffff;
    const block = bytes.subarray(at, at + length);
    if (block.length !== length) throw damaged("a buffer is cut off");
    if (head >>> 31 === 1) {
      if (written + length > size) throw damaged("a buffer is larger than it says");
      out.set(block, written);
      written += length;
    } else written += lz4Decompress(block, out, written, 0);
    at += length + (flags & 16 ? 4 : 0);
  }
}

/** The columns of a batch by name, those of `wanted` fields. */
export function readBatch(
  batch: FlatTable,
  body: Uint8Array,
  fields: readonly ArrowField[],
  wanted: (field: ArrowField) => boolean,
  dictionaries: Dictionaries,
): { rows: number; columns: Map<string, Column> } {
  const rows = batch.long(0);
  const feed = new Feed(batch, body);
  const columns = new Map<string, Column>();
  for (const field of fields) {
    if (!wanted(field)) {
      skipField(feed, field);
      continue;
    }
    const { piece, rows: length } = readField(feed, field, dictionaries);
    if (length !== rows) throw damaged("a column differs in length from its batch", `${length} for ${rows}`);
    for (const [name, column] of flattened(field.name, piece)) columns.set(name, column);
  }
  return { rows, columns };
}

/** The values of a dictionary. */
export function readDictionary(
  batch: FlatTable,
  body: Uint8Array,
  field: ArrowField,
  dictionaries: Dictionaries,
): Column {
  const { piece } = readField(new Feed(batch, body), { ...field, dictionary: null }, dictionaries);
  if (piece.kind === "struct") throw damaged("a dictionary of structs is not read");
  return piece;
}

function flattened(name: string, piece: Piece): (readonly [string, Column])[] {
  if (piece.kind !== "struct") return [[name, piece]];
  return piece.fields.flatMap(([inner, value]) =>
    flattened(inner, value).map(([path, column]) => [`${name}.${path}`, column] as const),
  );
}

function skipField(feed: Feed, field: ArrowField): void {
  const { storage } = field;
  feed.node();
  const buffers = field.dictionary !== null ? 2 : BUFFERS[storage.kind];
  for (let i = 0; i < buffers; i++) feed.skip();
  if (field.dictionary !== null) return;
  if (storage.kind === "views") for (let i = feed.variadic(); i > 0; i--) feed.skip();
  for (const child of field.children) skipField(feed, child);
}

const BUFFERS: Readonly<Record<ArrowField["storage"]["kind"], number>> = {
  null: 0,
  bits: 2,
  fixed: 2,
  bytes: 3,
  views: 2,
  blocks: 2,
  list: 2,
  lists: 1,
  struct: 1,
};

function readField(
  feed: Feed,
  field: ArrowField,
  dictionaries: Dictionaries,
): { piece: Piece; rows: number } {
  const { rows, nulls } = feed.node();
  const { storage } = field;
  if (field.dictionary === null && storage.kind === "null") {
    const offsets = new Int32Array(rows + 1);
    return {
      rows,
      piece: { kind: "utf8", dtype: "utf8", bytes: new Uint8Array(0), offsets, valid: new Uint8Array(rows) },
    };
  }
  const bits = feed.bytes(nulls > 0 ? Math.ceil(rows / 8) : 0);
  const valid = nulls > 0 ? spreadBits(bits, rows) : null;
  if (field.dictionary !== null) {
    const indices = fixedValues(feed, field.dictionary.dtype, rows);
    return { rows, piece: lookedUp(indices, valid, rows, dictionaries.get(field.dictionary.id)) };
  }
  return { rows, piece: readStored(feed, field, rows, valid, dictionaries) };
}

function readStored(
  feed: Feed,
  field: ArrowField,
  rows: number,
  valid: Uint8Array | null,
  dictionaries: Dictionaries,
): Piece {
  const { storage, logical } = field;
  switch (storage.kind) {
    case "bits":
      return {
        kind: "fixed",
        dtype: "bool",
        values: spreadBits(feed.bytes(Math.ceil(rows / 8)), rows),
        valid,
      };
    case "fixed":
      return scaled(
        {
          kind: "fixed",
          dtype: storage.dtype,
          values: zeroed(fixedValues(feed, storage.dtype, rows), valid),
          valid,
          logical,
        },
        storage.times,
      );
    case "bytes": {
      const offsets = readOffsets(feed, rows, storage.wide);
      const bytes = feed.bytes(offsets[rows]!);
      return { kind: "utf8", dtype: storage.text ? "utf8" : "binary", bytes, offsets, valid };
    }
    case "views":
      return readViews(feed, rows, storage.text, valid);
    case "blocks": {
      const { width } = storage;
      if (!(width > 0 && width <= 2 ** 20)) throw damaged("values of a fixed length have none");
      const bytes = feed.bytes(rows * width).subarray(0, rows * width);
      const offsets = Int32Array.from({ length: rows + 1 }, (_, i) => i * width);
      if (!storage.decimal || logical?.kind !== "decimal")
        return { kind: "utf8", dtype: "binary", bytes, offsets, valid };
      const dtype = dtypeOf(field) === "int64" ? "int64" : "utf8";
      return decimalColumn(
        { bytes: reversed(bytes, width, valid), offsets },
        { ...logical, dtype },
        rows,
        valid,
      );
    }
    case "list": {
      const offsets = readOffsets(feed, rows, storage.wide);
      const { piece, rows: length } = readField(feed, field.children[0]!, dictionaries);
      if (offsets[rows]! > length) throw damaged("a list ends behind its elements");
      return listOf(piece, offsets, valid);
    }
    case "lists": {
      const { size } = storage;
      const { piece, rows: length } = readField(feed, field.children[0]!, dictionaries);
      if (!(size >= 0) || size * rows > length) throw damaged("a list ends behind its elements");
      return listOf(
        piece,
        Int32Array.from({ length: rows + 1 }, (_, i) => i * size),
        valid,
      );
    }
    case "struct":
      return {
        kind: "struct",
        fields: field.children.map((child) => {
          const { piece, rows: length } = readField(feed, child, dictionaries);
          if (length < rows) throw damaged("a field of a struct is too short");
          return [child.name, masked(piece, valid)] as const;
        }),
      };
    case "null":
      throw damaged("a null column has buffers");
  }
}

/** Lists of structs become lists of each field. */
function listOf(piece: Piece, offsets: Int32Array, valid: Uint8Array | null): Piece {
  if (piece.kind !== "struct") return { kind: "list", offsets, child: piece, valid };
  return {
    kind: "struct",
    fields: flattened("", piece).map(([name, column]) => [
      name.slice(1),
      { kind: "list", offsets, child: column, valid },
    ]),
  };
}

/** A field of a struct that is null is null. */
function masked(piece: Piece, valid: Uint8Array | null): Piece {
  if (valid === null) return piece;
  if (piece.kind === "struct")
    return { kind: "struct", fields: piece.fields.map(([name, inner]) => [name, masked(inner, valid)]) };
  const before = piece.valid;
  return { ...piece, valid: before === null ? valid : valid.map((flag, i) => flag & before[i]!) };
}

function spreadBits(bits: Uint8Array, rows: number): Uint8Array {
  const flags = new Uint8Array(rows);
  for (let i = 0; i < rows; i++) flags[i] = (bits[i >> 3]! >> (i & 7)) & 1;
  return flags;
}

function fixedValues(feed: Feed, dtype: DType, rows: number): NumericArray {
  const { BYTES_PER_ELEMENT: width } = allocateStorage(dtype, 0);
  const bytes = feed.bytes(rows * width);
  const at = bytes.byteOffset;
  if (at % width === 0) return viewStorage(dtype, bytes.buffer as ArrayBuffer, at, rows);
  return viewStorage(dtype, bytes.slice(0, rows * width).buffer as ArrayBuffer, 0, rows);
}

/** What lies under a null is undefined in Arrow, and zero here. */
function zeroed(values: NumericArray, valid: Uint8Array | null): NumericArray {
  if (valid === null) return values;
  const copy = values.slice() as Float64Array; // any of them: elements are set to their own zero
  const zero = (typeof values[0] === "bigint" ? 0n : 0) as number;
  for (let i = 0; i < valid.length; i++) if (valid[i] === 0) copy[i] = zero;
  return copy;
}

function scaled(column: FixedColumn, times: 1 | 1000 | "days"): FixedColumn {
  if (times === 1) return column;
  const source = column.values;
  if (times === "days") {
    const days = Int32Array.from(source as BigInt64Array, (value) => Number(value / 86_400_000n));
    return { ...column, dtype: "int32", values: days };
  }
  const values =
    source instanceof BigInt64Array
      ? source.map((value) => value * 1000n)
      : Int32Array.from(source as Int32Array, (value) => value * 1000);
  return { ...column, values };
}

/** Offsets from 0 on, growing, below 2^31. */
function readOffsets(feed: Feed, rows: number, wide: boolean): Int32Array {
  const width = wide ? 8 : 4;
  // A column without rows may have no offsets at all.
  const bytes = feed.bytes(rows === 0 ? 0 : (rows + 1) * width);
  const offsets = new Int32Array(rows + 1);
  if (rows === 0) return offsets;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  let last = 0;
  for (let i = 0; i <= rows; i++) {
    const offset = wide ? Number(view.getBigInt64(8 * i, true)) : view.getInt32(4 * i, true);
    if (offset < last || offset > 2 ** 31 - 1) throw damaged("offsets do not grow, or are too large");
    offsets[i] = offset;
    last = offset;
  }
  return offsets;
}

/** Views of 16 bytes: length, and the text itself up to 12 bytes or the place of it in a buffer. */
function readViews(feed: Feed, rows: number, text: boolean, valid: Uint8Array | null): TextColumn {
  const stored = feed.bytes(16 * rows);
  const view = new DataView(stored.buffer, stored.byteOffset, stored.length);
  const buffers = Array.from({ length: feed.variadic() }, () => feed.bytes(0));
  const offsets = new Int32Array(rows + 1);
  const sizeOf = (row: number): number =>
    valid !== null && valid[row] === 0 ? 0 : view.getInt32(16 * row, true);
  for (let i = 0; i < rows; i++) {
    const size = sizeOf(i);
    if (size < 0 || offsets[i]! + size > 2 ** 31 - 1) throw damaged("texts are too long");
    offsets[i + 1] = offsets[i]! + size;
  }
  const bytes = new Uint8Array(offsets[rows]!);
  for (let i = 0; i < rows; i++) {
    const size = sizeOf(i);
    const at = 16 * i;
    if (size <= 12) {
      bytes.set(stored.subarray(at + 4, at + 4 + size), offsets[i]);
      continue;
    }
    const from = view.getInt32(at + 12, true);
    const part = buffers[view.getInt32(at + 8, true)]?.subarray(from, from + size);
    if (from < 0 || part?.length !== size) throw damaged("a text lies outside of its buffer");
    bytes.set(part, offsets[i]);
  }
  return { kind: "utf8", dtype: text ? "utf8" : "binary", bytes, offsets, valid };
}

/** Decimals are little-endian in Arrow, big-endian in Parquet, whose reader is used; nulls become zero. */
function reversed(bytes: Uint8Array, width: number, valid: Uint8Array | null): Uint8Array {
  const turned = new Uint8Array(bytes.length);
  for (let row = 0, at = 0; at < bytes.length; row++, at += width) {
    if (valid !== null && valid[row] === 0) continue;
    for (let i = 0; i < width; i++) turned[at + i] = bytes[at + width - 1 - i]!;
  }
  return turned;
}

function lookedUp(
  indices: NumericArray,
  valid: Uint8Array | null,
  rows: number,
  dictionary: Column | undefined,
): Column {
  if (dictionary === undefined) throw damaged("a dictionary is missing");
  const size = dictionary.kind === "fixed" ? dictionary.values.length : dictionary.offsets.length - 1;
  const order = new Uint32Array(rows);
  for (let i = 0; i < rows; i++) {
    if (valid !== null && valid[i] === 0) continue;
    const index = Number(indices[i]!);
    if (!(index >= 0 && index < size))
      throw damaged("an index lies outside of its dictionary", String(index));
    order[i] = index;
  }
  if (size === 0) {
    // All rows are null: an index of 0 was found nowhere above.
    const empty = sliceColumn(dictionary, 0, 0);
    if (rows === 0) return empty;
    return empty.kind === "fixed"
      ? { ...empty, values: allocateStorage(empty.dtype, rows), valid: new Uint8Array(rows) }
      : { ...empty, offsets: new Int32Array(rows + 1), valid: new Uint8Array(rows) };
  }
  const taken = takeRows(dictionary, order);
  if (valid === null) return taken;
  const inner = taken.valid;
  return { ...taken, valid: inner === null ? valid : valid.map((flag, i) => flag & inner[i]!) };
}
