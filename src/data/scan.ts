/** What an engine gives: a schema, seekable splits, and the columns of a split. */
import type { Column, Schema } from "./column.js";
import type { ColumnMemory } from "./workspace.js";

/** A run of rows that can be read by itself: a row group, a block of lines. */
export interface Split {
  /** Index into `Scan.files`. */
  readonly source: number;
  /** First row, counted within its file. */
  readonly row: number;
  readonly rows: number;
  /** Bytes of its rows, decompressed. */
  readonly bytes: number;
}

/** The rows of one split: columns of `rows` rows each. */
export interface Chunk {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, Column>;
}

export interface SourceFile {
  /** Path as messages name it. */
  readonly name: string;
  readonly size: number;
  /** sha256 of the content, or of a Parquet file's footer, which tells all of it but the values. */
  readonly contentHash: string;
  /** Of a file behind a URL: the server's own word on which content it is, `ETag` or `Last-Modified`; may be empty. */
  readonly version?: string;
  /** Changes when the file does: hash of name, size, time of change and `contentHash`. */
  readonly fingerprint: string;
}

/** An opened source. */
export interface Scan extends AsyncDisposable {
  readonly engine: string;
  /** How an engine gets the rows, where it has more than one way; for `explain`. */
  readonly how?: string;
  readonly schema: Schema;
  readonly files: readonly SourceFile[];
  /** All splits in the order of the rows; null for a stream, which is read once from its start. */
  readonly splits: readonly Split[] | null;
  /** The named columns of one split. */
  read(
    split: Split,
    columns: readonly string[],
    signal?: AbortSignal,
    /** Where numbers may be decoded to; they stay there until its next use. */
    memory?: ColumnMemory,
  ): Promise<Chunk>;
  /** Told the splits that will be read next, in their order: an engine that reads several at once reads ahead by it. */
  expect?(splits: readonly Split[]): void;
  /** True when `read` decodes into the memory that it is given. */
  readonly usesMemory?: boolean;
  /** Chunks from the start, where there are no splits. */
  stream?(columns: readonly string[], signal?: AbortSignal): AsyncIterable<Chunk>;
  /** True when the split's statistics tell that no row has a value of `column` in `[low, high]`. */
  excludes?(
    split: Split,
    column: string,
    low: number | bigint | string | null,
    high: number | bigint | string | null,
  ): boolean;
}

/** A source before it is opened; opening reads footers or counts lines. */
export interface Source {
  /** What goes into the plan's hash. */
  readonly identity: unknown;
  open(signal?: AbortSignal): Promise<Scan>;
}
