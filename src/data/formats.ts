/** Formats of tables as rows: how files of each are known by name and read, and how each is written. */
import { TenonError } from "../base/index.js";
import { arrowSource } from "./arrow/scan.js";
import type { Schema } from "./column.js";
import { Dataset } from "./dataset.js";
import { parquetSource } from "./parquet/scan.js";
import { emptyPlan } from "./plan.js";
import type { RemoteOptions } from "./remote/locate.js";
import type { Source } from "./scan.js";
import { ArrowFormat } from "./sink/arrow.js";
import { AtomicFile } from "./sink/atomic-file.js";
import { CsvFormat, JsonLinesFormat } from "./sink/lines.js";
import { NpyFormat } from "./sink/npy.js";
import { ParquetFormat } from "./sink/parquet.js";
import { type Format, fileSink, type Sink } from "./sink/sink.js";
import { csvFormat, jsonLinesFormat } from "./text/format.js";
import { textSource } from "./text/scan.js";

interface TableFormat {
  readonly endings: readonly string[];
  readonly source: (paths: readonly string[], remote: RemoteOptions) => Source;
}

/** Formats that are read. */
export type TableKind = "parquet" | "csv" | "jsonl" | "arrow";

const TABLE_FORMATS: Readonly<Record<TableKind, TableFormat>> = {
  parquet: {
    endings: [".parquet", ".pq", ".parq"],
    source: (paths, remote) => parquetSource(paths, { remote }),
  },
  csv: {
    endings: [".csv", ".tsv", ".csv.gz", ".tsv.gz", ".csv.zst", ".tsv.zst"],
    source: (paths, remote) => textSource(paths, csvFormat({}), { remote }),
  },
  jsonl: {
    endings: [".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz", ".jsonl.zst", ".ndjson.zst"],
    source: (paths, remote) => textSource(paths, jsonLinesFormat({}), { remote }),
  },
  arrow: {
    endings: [".arrow", ".arrows", ".feather", ".ipc"],
    source: (paths, remote) => arrowSource(paths, { remote }),
  },
};

/** The format that the endings of all paths name. Throws USAGE when they name none, or several. */
export function tableKind(paths: readonly string[]): TableKind {
  const kinds = Object.keys(TABLE_FORMATS) as TableKind[];
  const kindOf = (path: string): TableKind | undefined => {
    const name = withoutQuery(path).toLowerCase();
    return kinds.find((kind) => TABLE_FORMATS[kind].endings.some((ending) => name.endsWith(ending)));
  };
  const [first] = paths;
  const kind = first === undefined ? undefined : kindOf(first);
  const other = paths.find((path) => kindOf(path) !== kind);
  if (kind !== undefined && other === undefined) return kind;
  throw new TenonError("USAGE", {
    problem:
      kind === undefined ? "the input's format cannot be told by its name" : "the inputs differ in format",
    given: withoutQuery(other ?? first ?? "no path"),
    expected: `files or patterns that all end in ${kinds.map((each) => TABLE_FORMATS[each].endings.join(", ")).join("; or ")}`,
  });
}

/** A URL as messages may show it; what stands behind "?" may be a key. */
export function withoutQuery(path: string): string {
  return /^https?:/i.test(path) ? path.replace(/[?#].*$/s, "") : path;
}

/** A dataset over files or URLs of a format; columns have the types that the files themselves tell. */
export function table(kind: TableKind, paths: readonly string[], remote: RemoteOptions = {}): Dataset {
  return new Dataset(emptyPlan(TABLE_FORMATS[kind].source(paths, remote)));
}

/** What a sink of any format is told. */
export interface SinkRequest {
  /** Columns and types: they are in the file also where no row is. */
  readonly schema: Schema;
  /** Rows per row group, in formats that have them. */
  readonly rowGroup: number;
  /** Texts that the file carries, in formats that have a place for them; read at its end. */
  readonly metadata: Readonly<Record<string, string>>;
}

interface SinkFormat {
  /** Whether the file carries `metadata`. */
  readonly metadata: boolean;
  readonly format: (request: SinkRequest) => Format;
}

/** Formats that are written; their names are the endings of the files. */
export type SinkKind = "parquet" | "csv" | "jsonl" | "arrow" | "npy";

export const SINK_FORMATS: Readonly<Record<SinkKind, SinkFormat>> = {
  parquet: { metadata: true, format: (request) => new ParquetFormat(request) },
  csv: { metadata: false, format: ({ schema }) => new CsvFormat({ schema }) },
  jsonl: { metadata: false, format: ({ schema }) => new JsonLinesFormat({ schema }) },
  arrow: { metadata: false, format: (request) => new ArrowFormat(request) },
  npy: { metadata: false, format: ({ schema }) => new NpyFormat({ schema }) },
};

/** A sink of a format. Throws USAGE or TENSOR_DTYPE when the format does not hold such columns. */
export function tableSink(kind: SinkKind, path: string, request: SinkRequest): Sink {
  const format = SINK_FORMATS[kind].format(request);
  return fileSink(() => AtomicFile.create(path), format);
}
