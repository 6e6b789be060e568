/** tenon/data: tables in, tensors out, and back, in bounded memory; loads no native code. */
import { Dataset } from "./dataset.js";
import { ParquetFile } from "./parquet/file.js";
import { type ParquetOptions, parquetSource } from "./parquet/scan.js";
import { emptyPlan } from "./plan.js";
import { AtomicFile } from "./sink/atomic-file.js";
import { ParquetFormat, type ParquetSinkOptions } from "./sink/parquet.js";
import { fileSink, type Sink } from "./sink/sink.js";
import { TextFormat } from "./sink/text.js";

import { type Tables, tableSource } from "./table-source.js";

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
export type { Nulls } from "./convert.js";
export type { Inspection, MapOptions } from "./dataset.js";
export type { Batch, IterateOptions, PipelineIterator, PipelineStats } from "./iterator.js";
export type { ParquetOptions } from "./parquet/scan.js";
export type { SplitRange } from "./plan.js";
export { canonicalJson } from "./plan.js";
export type { Position } from "./position.js";
export { sliceColumn, takeRows } from "./rows.js";
export type { SourceFile } from "./scan.js";
export { hostKey, sweepTemporaries, temporaryName } from "./sink/atomic-file.js";
export type { ParquetSinkOptions } from "./sink/parquet.js";
export type { Manifest, Sink } from "./sink/sink.js";
export { type Cells, type Table, tensorColumn, textColumn } from "./sink/table.js";
export type { Tables } from "./table-source.js";
export {
  buildTensors,
  checkSpecs,
  col,
  matrix,
  pack,
  type SpecOptions,
  strings,
  type TensorSpec,
  type TensorSpecs,
  type TensorsOf,
} from "./tensors.js";
export type { Condition, Literal, Where } from "./where.js";
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
  /** The texts of column `text`, one after the other, as UTF-8. */
  text: (path: string): Sink => fileSink(() => AtomicFile.create(path), new TextFormat()),
} as const;

/** A dataset over Parquet files: paths, or patterns with `*`, `?` and `**`; files of a pattern in the order of their paths. */
export function parquet(paths: string | readonly string[], options: ParquetOptions = {}): Dataset {
  return new Dataset(emptyPlan(parquetSource(typeof paths === "string" ? [paths] : paths, options)));
}

/** Rows and footer texts of one Parquet file. Throws FILE_NOT_FOUND, FILE_INVALID. */
export async function parquetInfo(
  path: string,
): Promise<{ readonly rows: number; readonly metadata: ReadonlyMap<string, string> }> {
  const file = await ParquetFile.open(path);
  await file.close();
  return { rows: file.footer.rows, metadata: file.footer.keyValues };
}
