/** A Parquet file's footer: schema, row groups, column chunks (parquet-format 2.11, parquet.thrift). */
import { TenonError } from "../../base/index.js";
import { invalid, readThrift, type ThriftList, type ThriftStruct, type ThriftValue } from "./thrift.js";

// biome-ignore format: a table is read by columns
export const PHYSICAL = ["BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"] as const;
export type Physical = (typeof PHYSICAL)[number];

export const CODECS = ["UNCOMPRESSED", "SNAPPY", "GZIP", "LZO", "BROTLI", "LZ4", "ZSTD", "LZ4_RAW"] as const;
export type Codec = (typeof CODECS)[number];

export interface SchemaNode {
  readonly name: string;
  readonly physical: Physical | undefined;
  readonly typeLength: number;
  readonly repetition: "required" | "optional" | "repeated";
  readonly children: number;
  /** `ConvertedType`, the older form of the logical type. */
  readonly converted: number | undefined;
  /** `LogicalType`: the one field that is set is the kind. */
  readonly logical: ThriftStruct | undefined;
  readonly scale: number;
  readonly precision: number;
}

export interface ChunkStatistics {
  readonly min: Uint8Array | undefined;
  readonly max: Uint8Array | undefined;
  readonly nulls: number | undefined;
}

export interface ChunkMeta {
  readonly physical: Physical;
  readonly path: string;
  readonly codec: Codec;
  readonly values: number;
  readonly uncompressed: number;
  /** Where the chunk's bytes lie in the file. */
  readonly start: number;
  readonly length: number;
  readonly statistics: ChunkStatistics | undefined;
}

export interface RowGroup {
  readonly rows: number;
  readonly bytes: number;
  readonly chunks: readonly ChunkMeta[];
}

export interface Footer {
  readonly rows: number;
  readonly schema: readonly SchemaNode[];
  readonly groups: readonly RowGroup[];
  readonly keyValues: ReadonlyMap<string, string>;
  readonly createdBy: string;
}

const decoder = new TextDecoder();

/** Bytes that a file ends with: metadata, its length, and the magic. */
export const TAIL_BYTES = 8;

/** Length of the metadata told by a file's last eight bytes; throws FILE_INVALID for other files. */
export function footerLength(tail: Uint8Array, fileSize: number): number {
  const magic = decoder.decode(tail.subarray(4, 8));
  if (magic === "PARE") {
    throw new TenonError("FILE_INVALID", {
      problem: "the Parquet file is encrypted",
      expected: "a file without encryption",
    });
  }
  if (magic !== "PAR1" || fileSize < 12) {
    throw new TenonError("FILE_INVALID", {
      problem: "no Parquet file, or one that was not finished: it does not end with PAR1",
    });
  }
  const length = new DataView(tail.buffer, tail.byteOffset).getUint32(0, true);
  if (length > fileSize - 12) throw invalid("the footer is longer than the file", `${length} bytes`);
  return length;
}

/** The footer in its bytes (without length and magic). Throws FILE_INVALID. */
export function parseFooter(bytes: Uint8Array, fileSize: number): Footer {
  const { value } = readThrift(bytes, 0);
  if (value[8] !== undefined)
    throw new TenonError("FILE_INVALID", { problem: "the Parquet file is encrypted" });
  const schema = list(value[2], "schema").map(schemaNode);
  if (schema.length === 0) throw invalid("the schema is empty");
  const groups = list(value[4], "row groups").map((group) => rowGroup(struct(group, "row group"), fileSize));
  const rows = count(value[3], "number of rows");
  if (groups.reduce((sum, group) => sum + group.rows, 0) !== rows)
    throw invalid("the row groups do not add up to the number of rows", String(rows));
  const keyValues = new Map<string, string>();
  for (const entry of value[5] === undefined ? [] : list(value[5], "key-value metadata")) {
    const pair = struct(entry, "key-value metadata");
    keyValues.set(text(pair[1], "key"), pair[2] === undefined ? "" : text(pair[2], "value"));
  }
  const createdBy = value[6] === undefined ? "" : text(value[6], "created_by");
  return { rows, schema, groups, keyValues, createdBy };
}

const REPETITIONS = ["required", "optional", "repeated"] as const;

function schemaNode(entry: ThriftValue): SchemaNode {
  const node = struct(entry, "schema element");
  const physical = node[1] === undefined ? undefined : PHYSICAL[count(node[1], "type")];
  if (node[1] !== undefined && physical === undefined) throw invalid("unknown type in the schema");
  return {
    name: text(node[4], "column name"),
    physical,
    typeLength: optionalCount(node[2], "type length") ?? 0,
    repetition: REPETITIONS[optionalCount(node[3], "repetition") ?? 0] ?? "required",
    children: optionalCount(node[5], "number of children") ?? 0,
    converted: optionalCount(node[6], "converted type"),
    logical: node[10] === undefined ? undefined : struct(node[10], "logical type"),
    scale: optionalCount(node[7], "scale") ?? 0,
    precision: optionalCount(node[8], "precision") ?? 0,
  };
}

function rowGroup(group: ThriftStruct, fileSize: number): RowGroup {
  const chunks = list(group[1], "column chunks").map((entry) =>
    chunkMeta(struct(entry, "column chunk"), fileSize),
  );
  return {
    rows: count(group[3], "rows of a row group"),
    bytes: count(group[2], "size of a row group"),
    chunks,
  };
}

function chunkMeta(chunk: ThriftStruct, fileSize: number): ChunkMeta {
  if (chunk[1] !== undefined)
    throw new TenonError("FILE_INVALID", { problem: "the Parquet file keeps columns in other files" });
  if (chunk[8] !== undefined || chunk[9] !== undefined)
    throw new TenonError("FILE_INVALID", { problem: "a column of the Parquet file is encrypted" });
  const meta = struct(chunk[3], "column metadata");
  const physical = PHYSICAL[count(meta[1], "type")];
  const codec = CODECS[count(meta[4], "codec")];
  if (physical === undefined || codec === undefined) throw invalid("unknown type or codec of a column");
  const dataStart = count(meta[9], "page offset");
  const dictionaryStart = optionalCount(meta[11], "dictionary offset");
  // Some writers set 0 where there is no dictionary.
  const start =
    dictionaryStart !== undefined && dictionaryStart > 0 ? Math.min(dictionaryStart, dataStart) : dataStart;
  const length = count(meta[7], "size of a column");
  if (start + length > fileSize)
    throw invalid("a column lies outside the file", `bytes ${start} to ${start + length}`);
  return {
    physical,
    path: list(meta[3], "path")
      .map((part) => text(part, "path"))
      .join("\u0000"),
    codec,
    values: count(meta[5], "number of values"),
    uncompressed: count(meta[6], "size of a column"),
    start,
    length,
    statistics: meta[12] === undefined ? undefined : statistics(struct(meta[12], "statistics")),
  };
}

function statistics(stats: ThriftStruct): ChunkStatistics {
  const bytes = (value: ThriftValue | undefined): Uint8Array | undefined =>
    value instanceof Uint8Array ? value : undefined;
  // Fields 1 and 2 were written with undefined order; only 5 and 6 are trusted.
  return { max: bytes(stats[5]), min: bytes(stats[6]), nulls: optionalCount(stats[3], "null count") };
}

export function struct(value: ThriftValue | undefined, what: string): ThriftStruct {
  if (Array.isArray(value)) return value as ThriftStruct;
  throw invalid(`no ${what}`);
}

function list(value: ThriftValue | undefined, what: string): ThriftList {
  if (Array.isArray(value)) return value as ThriftList;
  throw invalid(`no ${what}`);
}

function text(value: ThriftValue | undefined, what: string): string {
  if (value instanceof Uint8Array) return decoder.decode(value);
  throw invalid(`no ${what}`);
}

export function count(value: ThriftValue | undefined, what: string): number {
  if (typeof value === "number" && value >= 0) return value;
  throw invalid(`no ${what}`, value === undefined ? undefined : String(value).slice(0, 40));
}

function optionalCount(value: ThriftValue | undefined, what: string): number | undefined {
  return value === undefined ? undefined : count(value, what);
}
