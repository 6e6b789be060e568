/** tenon/data: tables in, tensors out, and back, in bounded memory; loads no native code. */
import { type ArrowOptions, arrowSource } from "./arrow/scan.js";
import { Dataset } from "./dataset.js";
import { querySource } from "./engines/duckdb-process.js";
import { type LazyFrame, lazyFrameSource } from "./engines/lazy-frame.js";
import { ParquetFile } from "./parquet/file.js";
import { type ParquetOptions, parquetSource } from "./parquet/scan.js";
import { emptyPlan } from "./plan.js";
import { ArrowFormat, type ArrowSinkOptions } from "./sink/arrow.js";
import { AtomicFile } from "./sink/atomic-file.js";
import { CsvFormat, type CsvSinkOptions, JsonLinesFormat, type LinesSinkOptions } from "./sink/lines.js";
import { NpyFormat, type NpySinkOptions } from "./sink/npy.js";
import { ParquetFormat, type ParquetSinkOptions } from "./sink/parquet.js";
import { fileSink, type Sink } from "./sink/sink.js";
import { TextFormat } from "./sink/text.js";
import { type Tables, tableSource } from "./table-source.js";
import { type CsvOptions, csvFormat, type JsonLinesOptions, jsonLinesFormat } from "./text/format.js";
import { textSource } from "./text/scan.js";

export type { ArrowOptions } from "./arrow/scan.js";
export type { Origin } from "./batches.js";
export {
  type Column,
  type Columns,
  type ColumnType,
  columnStrings,
  columnValue,
  type FieldType,
  type FixedColumn,
  type ListColumn,
  type Logical,
  printType,
  type Schema,
  type TextColumn,
  typeOf,
} from "./column.js";
export { ColumnPool } from "./column-pool.js";
export type { Nulls } from "./convert.js";
export type { Inspection, MapOptions } from "./dataset.js";
export type { LazyFrame } from "./engines/lazy-frame.js";
export {
  SINK_FORMATS,
  type SinkKind,
  type SinkRequest,
  type TableKind,
  table,
  tableKind,
  tableSink,
  withoutQuery,
} from "./formats.js";
export { expandGlobs, isUrl } from "./glob.js";
export {
  type Interleaved,
  type InterleavedBatch,
  type InterleavedPosition,
  type InterleaveOptions,
  interleave,
} from "./interleaved.js";
export type { Batch, IterateOptions, PipelineIterator, PipelineStats } from "./iterator.js";
export type { PaddingOptions } from "./padding.js";
export type { ParquetOptions } from "./parquet/scan.js";
export type { SplitRange } from "./plan.js";
export { canonicalJson } from "./plan.js";
export { BatchMemory } from "./pool.js";
export type { Position } from "./position.js";
export type { RemoteOptions } from "./remote/locate.js";
export type { S3Options } from "./remote/s3.js";
export { sliceColumn, takeRows } from "./rows.js";
export type { SourceFile } from "./scan.js";
export type { ArrowSinkOptions } from "./sink/arrow.js";
export { hostKey, sweepTemporaries, temporaryName } from "./sink/atomic-file.js";
export type { CsvSinkOptions, LinesSinkOptions } from "./sink/lines.js";
export type { NpySinkOptions } from "./sink/npy.js";
export type { ParquetSinkOptions } from "./sink/parquet.js";
export type { Manifest, Sink } from "./sink/sink.js";
export { type Cells, type Table, tensorColumn, textColumn } from "./sink/table.js";
export type { Tables } from "./table-source.js";
export {
  buildTensors,
  checkSpecs,
  col,
  lengths,
  matrix,
  pack,
  padded,
  type SpecOptions,
  strings,
  type TensorSpec,
  type TensorSpecs,
  type TensorsOf,
} from "./tensors.js";
export type { CsvOptions, JsonLinesOptions } from "./text/format.js";
export type { CellType } from "./text/types.js";
export type { Condition, Literal, Where } from "./where.js";
export { sha256OfFile } from "./whole-file.js";
export { Dataset };

/**
 * A dataset over tables that the program has or makes: records of typed arrays, tensors, columns or arrays of strings, all
 * with the columns of the first. It is read once, in order; an array of tables, as often as it is iterated.
 */
export function rows(tables: Tables): Dataset {
  return new Dataset(emptyPlan(tableSource(tables)));
}

/** Sinks of one file each, which appears under its name at `commit()`. */
export const sink = {
  /** Parquet, by row groups; columns of numbers, texts, bytes and lists of numbers. */
  parquet: (path: string, options: ParquetSinkOptions = {}): Sink =>
    fileSink(() => AtomicFile.create(path), new ParquetFormat(options)),
  /**
   * CSV with a first line of names. A null is an empty cell, an empty text is quoted, lists are JSON, bytes base64, times
   * ISO 8601; floats have the digits that give them back.
   */
  csv: (path: string, options: CsvSinkOptions = {}): Sink =>
    fileSink(() => AtomicFile.create(path), new CsvFormat(options)),
  /** An object of JSON a line; NaN and the infinities, which JSON lacks, as texts. */
  jsonl: (path: string, options: LinesSinkOptions = {}): Sink =>
    fileSink(() => AtomicFile.create(path), new JsonLinesFormat(options)),
  /** An Arrow IPC file, by record batches, not compressed. */
  arrow: (path: string, options: ArrowSinkOptions = {}): Sink =>
    fileSink(() => AtomicFile.create(path), new ArrowFormat(options)),
  /** One column of numbers, or of lists of one length, as an array of numpy. */
  npy: (path: string, options: NpySinkOptions = {}): Sink =>
    fileSink(() => AtomicFile.create(path), new NpyFormat(options)),
  /** The texts of column `text`, one after the other, as UTF-8. */
  text: (path: string): Sink => fileSink(() => AtomicFile.create(path), new TextFormat()),
} as const;

/** A dataset over Parquet files: paths, or patterns with `*`, `?` and `**`; files of a pattern in the order of their paths. */
export function parquet(paths: string | readonly string[], options: ParquetOptions = {}): Dataset {
  return new Dataset(emptyPlan(parquetSource(listOf(paths), options)));
}

/**
 * A dataset over CSV files (RFC 4180, UTF-8, a first line with the names of the columns), `.gz` and `.zst` too. Paths as
 * `parquet` takes them. Throws FILE_INVALID, naming file and line, for records that do not follow the format.
 */
export function csv(paths: string | readonly string[], options: CsvOptions = {}): Dataset {
  return new Dataset(emptyPlan(textSource(listOf(paths), csvFormat(options), options)));
}

/**
 * A dataset over files of JSON lines: an object a line, `.gz` and `.zst` too. Objects in objects are columns
 * `outer.inner`, lists are list columns, lists of objects stay JSON as text. A key that a line lacks is null.
 */
export function jsonl(paths: string | readonly string[], options: JsonLinesOptions = {}): Dataset {
  return new Dataset(emptyPlan(textSource(listOf(paths), jsonLinesFormat(options), options)));
}

/** A dataset over Arrow IPC files and streams (Feather version 2), a split per record batch. Paths as `parquet` takes them. */
export function arrow(paths: string | readonly string[], options: ArrowOptions = {}): Dataset {
  return new Dataset(emptyPlan(arrowSource(listOf(paths), options)));
}

/**
 * The rows of a DuckDB query, such as `SELECT * FROM 'in/*.parquet' ORDER BY id`. It runs when the dataset is opened and is kept
 * in a temporary file; rows come in the order of the query. Needs `@duckdb/node-api`; throws DEPENDENCY_MISSING.
 */
export function sql(query: string): Dataset {
  return new Dataset(emptyPlan(querySource(query)));
}

/**
 * The rows of a lazy frame of nodejs-polars. A plan that makes each row of one row of a Parquet file (filter, select,
 * withColumns, with arithmetic, comparisons, casts and conditions) is run in windows of that file, with nothing kept; any
 * other is collected when the dataset is opened, into a temporary file. `explain()` says which, and why. Throws
 * DEPENDENCY_MISSING, and USAGE for a plan that polars cannot run.
 */
export function polars(frame: LazyFrame): Dataset {
  return new Dataset(emptyPlan(lazyFrameSource(frame)));
}

function listOf(paths: string | readonly string[]): readonly string[] {
  return typeof paths === "string" ? [paths] : paths;
}

/** Rows and footer texts of one Parquet file. Throws FILE_NOT_FOUND, FILE_INVALID. */
export async function parquetInfo(
  path: string,
): Promise<{ readonly rows: number; readonly metadata: ReadonlyMap<string, string> }> {
  const file = await ParquetFile.open(path);
  await file.close();
  return { rows: file.footer.rows, metadata: file.footer.keyValues };
}
