/** Parquet files as a scan: a split per row group, hive partitions as columns, row groups left out by statistics. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { TenonError } from "../../base/index.js";
import { type FieldType, printType, type Schema, sameLogical } from "../column.js";
import { expandGlobs, isUrl } from "../glob.js";
import { constantColumn, partitionsOf } from "../partitions.js";
import type { RemoteOptions } from "../remote/locate.js";
import type { Chunk, Scan, Source, SourceFile, Split } from "../scan.js";
import { type ColumnMemory, FRESH_MEMORY } from "../workspace.js";
import { ParquetFile } from "./file.js";
import { mayHold } from "./prune.js";

export interface ParquetOptions {
  /**
   * Who reads row groups: `ts`, built in; or `duckdb` or `polars`, which must be installed. All give the same batches.
   * Default `ts`.
   */
  readonly engine?: "ts" | "duckdb" | "polars";
  /** `key=value` folders become text columns. Default true. */
  readonly hive?: boolean;
  /** How files behind URLs are asked for; only the built-in engine reads them. */
  readonly remote?: RemoteOptions;
}

export function parquetSource(paths: readonly string[], options: ParquetOptions): Source {
  return {
    identity: { kind: "parquet", paths, hive: options.hive ?? true },
    async open() {
      const engine = options.engine ?? "ts";
      const url = paths.find(isUrl);
      if (engine !== "ts" && url !== undefined)
        throw new TenonError("USAGE", {
          problem: `${engine} is not given URLs`,
          expected: 'files, or engine: "ts"',
        });
      const scan = await openParquet(paths, options);
      try {
        return await ENGINES[engine](scan);
      } catch (error) {
        await scan[Symbol.asyncDispose]();
        throw error;
      }
    },
  };
}

/** By the names of engines. They are loaded when they are asked for. */
const ENGINES: Readonly<
  Record<NonNullable<ParquetOptions["engine"]>, (scan: ParquetScan) => Scan | Promise<Scan>>
> = {
  ts: (scan) => scan,
  duckdb: async (scan) => (await import("../engines/duckdb-process.js")).withDuckDB(scan, scan.places()),
  polars: async (scan) =>
    (await import("../engines/polars.js")).withPolars(scan, scan.places(), (split, names) =>
      scan.checkPages(split, names),
    ),
};

interface OpenFile {
  readonly file: ParquetFile;
  readonly partitions: ReadonlyMap<string, string | null>;
}

async function openParquet(
  patterns: readonly string[],
  { hive = true, remote }: ParquetOptions,
): Promise<ParquetScan> {
  const opened: OpenFile[] = [];
  try {
    for (const path of await expandGlobs(patterns, remote)) {
      const file = await ParquetFile.open(path, remote);
      opened.push({ file, partitions: hive ? partitionsOf(file.path) : new Map() });
    }
    return new ParquetScan(opened, opened.map(identify));
  } catch (error) {
    await Promise.all(opened.map(({ file }) => file.close()));
    throw error;
  }
}

function identify({ file }: OpenFile): SourceFile {
  const text = JSON.stringify([basename(file.path), file.size, file.version, file.footerHash]);
  const fingerprint = createHash("sha256").update(text).digest("hex");
  const { path, size, version, footerHash } = file;
  return {
    name: path,
    size,
    contentHash: footerHash,
    ...(typeof version === "string" ? { version } : {}),
    fingerprint,
  };
}

class ParquetScan implements Scan {
  readonly engine = "ts";
  readonly usesMemory = true;
  readonly schema: Schema;
  readonly files: readonly SourceFile[];
  readonly splits: readonly Split[];
  readonly #opened: readonly OpenFile[];
  /** Row group of each split. */
  readonly #groups = new Map<Split, number>();

  constructor(opened: readonly OpenFile[], files: readonly SourceFile[]) {
    this.#opened = opened;
    this.files = files;
    this.schema = commonSchema(opened);
    const splits: Split[] = [];
    opened.forEach(({ file }, source) => {
      let row = 0;
      file.footer.groups.forEach((group, index) => {
        if (group.rows === 0) return;
        const split = { source, row, rows: group.rows, bytes: group.bytes };
        this.#groups.set(split, index);
        splits.push(split);
        row += group.rows;
      });
    });
    this.splits = splits;
  }

  async read(
    split: Split,
    columns: readonly string[],
    signal?: AbortSignal,
    memory: ColumnMemory = FRESH_MEMORY,
  ): Promise<Chunk> {
    signal?.throwIfAborted();
    const { file, partitions } = this.#opened[split.source]!;
    const stored = columns.filter((name) => !partitions.has(name));
    const read = await file.readGroup(this.#groups.get(split)!, stored, memory);
    for (const name of columns)
      if (partitions.has(name)) read.set(name, constantColumn(partitions.get(name) ?? null, split.rows));
    return { rows: split.rows, columns: read };
  }

  /** Throws FILE_INVALID where headers of pages below these top-level names cannot be. */
  async checkPages(split: Split, names: ReadonlySet<string>): Promise<void> {
    const { file, partitions } = this.#opened[split.source]!;
    const stored = new Set([...names].filter((name) => !partitions.has(name)));
    await file.checkPages(this.#groups.get(split)!, stored);
  }

  /** Where each stored column lies: the names of the structs around it, outer first; none for lists of structs. */
  places(): Map<string, readonly string[]> {
    const places = new Map<string, readonly string[]>();
    const { file, partitions } = this.#opened[0]!;
    for (const [name, { leaf }] of file.leaves) {
      if (partitions.has(name)) continue;
      const path = leaf.path.split("\u0000");
      places.set(name, leaf.lists.length === 0 ? path : path[0] === name ? [name] : []);
    }
    return places;
  }

  excludes(
    split: Split,
    column: string,
    low: number | bigint | string | null,
    high: number | bigint | string | null,
  ): boolean {
    const { file, partitions } = this.#opened[split.source]!;
    const found = file.leaves.get(column);
    if (found === undefined || partitions.has(column)) return false;
    const meta = file.footer.groups[this.#groups.get(split)!]!.chunks[found.index];
    return meta?.statistics !== undefined && !mayHold(found.leaf, meta.statistics, low, high);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#opened.map(({ file }) => file.close()));
  }
}

/** The first file's columns; every file must have them, with the same types. */
function commonSchema(opened: readonly OpenFile[]): Schema {
  const schema = new Map<string, FieldType>();
  const first = opened[0]!;
  for (const [name, { leaf }] of first.file.leaves) schema.set(name, leaf.field);
  for (const [name, text] of first.partitions) schema.set(name, { dtype: "utf8", nullable: text === null });
  for (const { file, partitions } of opened.slice(1)) {
    for (const [name, field] of schema) {
      const other = partitions.has(name)
        ? ({ dtype: "utf8", nullable: partitions.get(name) === null } as const)
        : file.leaves.get(name)?.leaf.field;
      if (
        other !== undefined &&
        printType(other.dtype) === printType(field.dtype) &&
        sameLogical(other.logical, field.logical)
      ) {
        if (other.nullable && !field.nullable) schema.set(name, { ...field, nullable: true });
        continue;
      }
      throw new TenonError("FILE_INVALID", {
        problem: `the files differ in column "${name}"`,
        given: `${other === undefined ? "no such column" : printType(other.dtype)} in ${file.path}`,
        expected: `${printType(field.dtype)}, as in ${first.file.path}`,
      });
    }
  }
  return schema;
}
