/** A column chunk's bytes become a column: pages in order, nulls spread, lists folded, stored values converted. */
import { TenonError } from "../../base/index.js";
import type { DType, NumericArray } from "../../tensor/index.js";
import { viewStorage } from "../../tensor/index.js";
import type { Column, ListColumn } from "../column.js";
import { type ColumnMemory, FRESH_MEMORY } from "../workspace.js";
import { decimalColumn } from "./decimal.js";
import type { ChunkMeta } from "./footer.js";
import type { Leaf } from "./leaf.js";
import { openInPlace, openPage, type PageScratch, readPage } from "./page.js";
import { invalid } from "./thrift.js";
import { ByteValues, type Word, WordValues } from "./values.js";

/** Entries of one chunk whose levels are kept: lists and their nulls. */
const MAX_LEVELS = 2 ** 28;

/** Decodes the chunk of `leaf`, whose row group has `rows` rows. Throws FILE_INVALID. */
export function decodeChunk(
  bytes: Uint8Array,
  leaf: Leaf,
  meta: ChunkMeta,
  rows: number,
  scratch: PageScratch,
  memory: ColumnMemory,
): Column {
  if (meta.physical !== leaf.physical) throw invalid("a column differs in type from the schema");
  return leaf.lists.length === 0
    ? flat(bytes, leaf, meta, rows, scratch, memory)
    : nested(bytes, leaf, meta, rows, scratch);
}

type Collected = WordValues | ByteValues;

function valuesFor(leaf: Leaf, capacity: number, memory: ColumnMemory): Collected {
  const { value, physical, typeLength } = leaf;
  if (physical === "FIXED_LEN_BYTE_ARRAY" && !(typeLength > 0))
    throw invalid("a fixed-length type has no length");
  if (value.kind === "fixed" && value.dtype === "float16") return new WordValues("HALF", capacity, memory);
  if (physical === "BYTE_ARRAY") return new ByteValues(0, capacity);
  if (physical === "FIXED_LEN_BYTE_ARRAY") return new ByteValues(typeLength, capacity);
  return new WordValues(physical satisfies Word, capacity, memory);
}

/** Reads a dictionary page where the chunk starts with one; gives the collector and where the data pages start. */
function* dataPages(
  bytes: Uint8Array,
  leaf: Leaf,
  meta: ChunkMeta,
  values: Collected,
  capacity: number,
  scratch: PageScratch,
) {
  let at = 0;
  let left = meta.values;
  // Given up at the first page that is not so: columns seldom change from page to page.
  let inPlace = leaf.lists.length === 0;
  while (left > 0) {
    if (at >= bytes.length) throw invalid("a column has fewer values than its header says");
    const page = readPage(bytes, at);
    at = page.next;
    if (page.kind === "other") continue;
    if (page.kind === "dictionary") {
      if (left !== meta.values) throw invalid("a dictionary after the first page");
      if (page.values > Math.max(page.size, 1) * (leaf.physical === "BOOLEAN" ? 8 : 1))
        throw invalid("values are cut off");
      const { bytes: data, end } = openPage(page, meta, { ...leaf, maxDefinition: 0, lists: [] }, scratch);
      values.read(0, data, 0, end, page.values);
      values.keepDictionary();
      values.reserve(capacity);
      continue;
    }
    if (page.values > left) throw invalid("a column has more values than its header says");
    left -= page.values;
    if (inPlace && values instanceof WordValues && values.plainWidth > 0) {
      inPlace = openInPlace(page, meta, leaf, values.plainWidth, (count, before) =>
        values.room(count, before),
      );
      if (inPlace) {
        yield { page, data: null };
        continue;
      }
    }
    yield { page, data: openPage(page, meta, leaf, scratch) };
  }
}

function flat(
  bytes: Uint8Array,
  leaf: Leaf,
  meta: ChunkMeta,
  rows: number,
  scratch: PageScratch,
  memory: ColumnMemory,
): Column {
  if (meta.values !== rows)
    throw invalid("a column differs in length from its row group", `${meta.values} for ${rows}`);
  const values = valuesFor(leaf, startsWithDictionary(bytes) ? 0 : rows, memory);
  let valid: Uint8Array | null = null;
  const max = leaf.maxDefinition;
  for (const { page, data } of dataPages(bytes, leaf, meta, values, rows, scratch)) {
    const at = values.length;
    if (data === null) {
      (values as WordValues).advance(page.values); // only words are read in place
      valid?.fill(1, at, at + page.values);
      continue;
    }
    const { definition } = data;
    if (definition === null) {
      values.read(page.encoding, data.bytes, data.start, data.end, page.values);
      valid?.fill(1, at, at + page.values);
      continue;
    }
    valid ??= new Uint8Array(rows).fill(1, 0, at);
    let present = 0;
    for (let i = 0; i < definition.length; i++) {
      const here = definition[i] === max ? 1 : 0;
      present += here;
      valid[at + i] = here;
    }
    values.read(page.encoding, data.bytes, data.start, data.end, present);
    if (present < page.values) values.spread(present, definition, max);
  }
  if (valid !== null && !valid.includes(0)) valid = null;
  return columnOf(leaf, values, rows, valid);
}

/** The page type is the header's first field, so that the first bytes tell: field 1, i32, zigzag of 2. */
function startsWithDictionary(bytes: Uint8Array): boolean {
  return bytes[0] === 0x15 && bytes[1] === 4;
}

function columnOf(leaf: Leaf, values: Collected, rows: number, valid: Uint8Array | null): Column {
  const { value } = leaf;
  if (values instanceof WordValues) {
    if (value.kind === "int96")
      return {
        kind: "fixed",
        dtype: "int64",
        values: new BigInt64Array(values.buffer, values.offset, rows),
        valid,
        logical: leaf.field.logical,
      };
    if (value.kind !== "fixed")
      throw new TenonError("INTERNAL", { problem: "a word column of another kind" });
    return {
      kind: "fixed",
      dtype: value.dtype,
      values: narrowed(leaf, value.dtype, values, rows),
      valid,
      logical: value.logical,
    };
  }
  if (value.kind === "decimal") return decimalColumn(values, value, rows, valid);
  const dtype = value.kind === "text" ? value.dtype : "binary";
  return { kind: "utf8", dtype, bytes: values.bytes, offsets: values.offsets.subarray(0, rows + 1), valid };
}

/** 8- and 16-bit integers are stored in 32 bits. */
function narrowed(leaf: Leaf, dtype: DType, { buffer, offset }: WordValues, rows: number): NumericArray {
  if (leaf.physical === "INT32") {
    const wide = new Int32Array(buffer, offset, rows);
    if (dtype === "int8") return Int8Array.from(wide);
    if (dtype === "uint8") return Uint8Array.from(wide);
    if (dtype === "int16") return Int16Array.from(wide);
    if (dtype === "uint16") return Uint16Array.from(wide);
  }
  return viewStorage(dtype, buffer, offset, rows);
}

/** Levels of all pages one after the other. */
class LevelList {
  bytes = new Uint8Array(0);
  length = 0;

  push(levels: Uint8Array | null, count: number, otherwise: number): void {
    const wanted = this.length + count;
    if (wanted > MAX_LEVELS)
      throw new TenonError("FILE_INVALID", {
        problem: "a list column has too many values",
        given: String(wanted),
        expected: `at most ${MAX_LEVELS}`,
      });
    if (wanted > this.bytes.length) {
      const larger = new Uint8Array(Math.min(MAX_LEVELS, Math.max(wanted, 2 * this.bytes.length)));
      larger.set(this.bytes);
      this.bytes = larger;
    }
    if (levels === null) this.bytes.fill(otherwise, this.length, wanted);
    else this.bytes.set(levels, this.length);
    this.length = wanted;
  }
}

function nested(bytes: Uint8Array, leaf: Leaf, meta: ChunkMeta, rows: number, scratch: PageScratch): Column {
  const max = leaf.maxDefinition;
  const values = valuesFor(leaf, 0, FRESH_MEMORY);
  const definition = new LevelList();
  const repetition = new LevelList();
  for (const { page, data } of dataPages(bytes, leaf, meta, values, 0, scratch)) {
    if (data === null) throw new TenonError("INTERNAL", { problem: "a list was read in place" });
    definition.push(data.definition, page.values, max);
    repetition.push(data.repetition, page.values, 0);
    let present = page.values;
    if (data.definition !== null) {
      present = 0;
      for (const level of data.definition) if (level === max) present++;
    }
    values.read(page.encoding, data.bytes, data.start, data.end, present);
  }
  return fold(leaf, values, definition, repetition, rows);
}

/** One level of lists under construction. */
interface Level {
  readonly offsets: Int32Array;
  readonly valid: Uint8Array;
  length: number;
  nulls: boolean;
}

/** Dremel's levels become offsets: a list per row, or per element of the list around it. */
function fold(
  leaf: Leaf,
  values: Collected,
  definition: LevelList,
  repetition: LevelList,
  rows: number,
): Column {
  const { lists, maxDefinition: max } = leaf;
  const depth = lists.length;
  const total = definition.length;
  const levels: Level[] = lists.map(() => ({
    offsets: new Int32Array(total + 1),
    valid: new Uint8Array(total),
    length: 0,
    nulls: false,
  }));
  const innermost = lists[depth - 1]!;
  const elementLevels = new Uint8Array(total);
  let elements = 0;
  for (let i = 0; i < total; i++) {
    const d = definition.bytes[i]!;
    const r = repetition.bytes[i]!;
    if (i === 0 && r !== 0) throw invalid("a list column starts inside a row");
    for (let k = r; k < depth; k++) {
      // A list exists here when the one around it has an element.
      if (k > 0 && d < lists[k - 1]!) break;
      const level = levels[k]!;
      level.offsets[level.length] = k + 1 < depth ? levels[k + 1]!.length : elements;
      const present = d >= lists[k]! - 1;
      level.valid[level.length++] = present ? 1 : 0;
      if (!present) level.nulls = true;
    }
    if (d >= innermost) elementLevels[elements++] = d;
  }
  const outer = levels[0]!;
  if (outer.length !== rows)
    throw invalid("a list column differs in length from its row group", `${outer.length} for ${rows}`);
  let valid: Uint8Array | null = null;
  if (values.length < elements) {
    const used = elementLevels.subarray(0, elements);
    values.spread(values.length, used, max);
    valid = used.map((level) => (level === max ? 1 : 0));
  }
  let column: Column = columnOf(leaf, values, elements, valid);
  for (let k = depth - 1; k >= 0; k--) {
    const { offsets, valid: present, length, nulls } = levels[k]!;
    offsets[length] = k + 1 < depth ? levels[k + 1]!.length : elements;
    column = {
      kind: "list",
      offsets: offsets.slice(0, length + 1),
      child: column,
      valid: nulls ? present.slice(0, length) : null,
    } satisfies ListColumn;
  }
  return column;
}
