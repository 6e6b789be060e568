/** CSV and JSON lines as a scan: a split per block of records, the same order, resume and shuffle as Parquet has. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { TenonError } from "../../base/index.js";
import type { SeekableBytes } from "../byte-source.js";
import { type FieldType, printType, type Schema } from "../column.js";
import { expandGlobs } from "../glob.js";
import { constantColumn, partitionsOf } from "../partitions.js";
import type { RemoteOptions } from "../remote/locate.js";
import type { Chunk, Scan, Source, SourceFile, Split } from "../scan.js";
import { openWhole } from "../whole-file.js";
import { type BlockIndex, indexBlocks, readBlock } from "./blocks.js";
import type { BlockReader, TextFormat, TextSourceOptions } from "./format.js";

export function textSource(
  paths: readonly string[],
  format: TextFormat,
  options: TextSourceOptions = {},
): Source {
  const hive = options.hive ?? true;
  return {
    identity: { kind: format.kind, paths, hive, ...format.identity },
    open: () => openText(paths, format, hive, options.remote),
  };
}

/** A file with its blocks. */
interface OpenFile {
  readonly file: SourceFile;
  readonly bytes: SeekableBytes;
  readonly index: BlockIndex;
  readonly reader: BlockReader;
  readonly partitions: ReadonlyMap<string, string | null>;
}

async function openText(
  patterns: readonly string[],
  format: TextFormat,
  hive: boolean,
  remote: RemoteOptions | undefined,
): Promise<Scan> {
  const files: OpenFile[] = [];
  try {
    for (const path of await expandGlobs(patterns, remote))
      files.push(await openFile(path, format, hive, remote, files.find(hasColumns)?.reader));
    return new TextScan(files);
  } catch (error) {
    await Promise.all(files.map(({ bytes }) => bytes.close()));
    throw error;
  }
}

/** A file of JSON lines without a line has none. */
function hasColumns({ reader }: OpenFile): boolean {
  return reader.schema.size > 0;
}

async function openFile(
  path: string,
  format: TextFormat,
  hive: boolean,
  remote: RemoteOptions | undefined,
  like: BlockReader | undefined,
): Promise<OpenFile> {
  const { name, bytes, size, version, key } = await openWhole(path, true, remote);
  try {
    const start = await format.begin(name, bytes);
    const known = `${key} ${JSON.stringify(start.rules)} ${start.at}`;
    const index = await indexed(known, () => indexBlocks(name, bytes, start.rules, start.at, start.line));
    const reader = await start.reader(index, like);
    const text = JSON.stringify([basename(name), size, version, index.sha256]);
    const file: SourceFile = {
      name,
      size,
      contentHash: index.sha256,
      ...(typeof version === "string" ? { version } : {}),
      fingerprint: createHash("sha256").update(text).digest("hex"),
    };
    return { file, bytes, index, reader, partitions: hive ? partitionsOf(name) : new Map() };
  } catch (error) {
    await bytes.close();
    throw error;
  }
}

/** Indexes of files that were opened lately: a pass over the file is not made again while it stays the same. */
const known = new Map<string, Promise<BlockIndex>>();
const KNOWN_FILES = 256;

function indexed(version: string, make: () => Promise<BlockIndex>): Promise<BlockIndex> {
  const before = known.get(version);
  if (before !== undefined) return before;
  const index = make();
  index.catch(() => known.delete(version));
  known.set(version, index);
  for (const oldest of known.keys()) {
    if (known.size <= KNOWN_FILES) break;
    known.delete(oldest);
  }
  return index;
}

class TextScan implements Scan {
  readonly engine = "ts";
  readonly schema: Schema;
  readonly files: readonly SourceFile[];
  readonly splits: readonly Split[];
  readonly #opened: readonly OpenFile[];
  readonly #blocks = new Map<Split, number>();

  constructor(opened: readonly OpenFile[]) {
    this.#opened = opened;
    this.files = opened.map(({ file }) => file);
    this.schema = schemaOf(opened);
    const splits: Split[] = [];
    opened.forEach(({ index }, source) => {
      index.blocks.forEach((block, i) => {
        const split = { source, row: block.row, rows: block.rows, bytes: block.length };
        this.#blocks.set(split, i);
        splits.push(split);
      });
    });
    this.splits = splits;
  }

  async read(split: Split, columns: readonly string[], signal?: AbortSignal): Promise<Chunk> {
    signal?.throwIfAborted();
    const { file, bytes, index, reader, partitions } = this.#opened[split.source]!;
    const block = index.blocks[this.#blocks.get(split)!]!;
    const stored = columns.filter((name) => !partitions.has(name));
    const read = reader.read(await readBlock(file.name, bytes, block), block, stored);
    for (const name of columns) {
      if (partitions.has(name)) read.set(name, constantColumn(partitions.get(name) ?? null, split.rows));
    }
    return { rows: split.rows, columns: read };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#opened.map(({ bytes }) => bytes.close()));
  }
}

/** The first file's columns; every file must have them. */
function schemaOf(opened: readonly OpenFile[]): Schema {
  const first = opened.find(hasColumns) ?? opened[0]!;
  const schema = new Map<string, FieldType>(first.reader.schema);
  for (const name of first.partitions.keys()) schema.set(name, { dtype: "utf8", nullable: true });
  for (const { file, reader, partitions } of opened.filter(hasColumns)) {
    for (const [name, { dtype }] of schema) {
      const other = partitions.has(name) ? "utf8" : reader.schema.get(name)?.dtype;
      if (other !== undefined && printType(other) === printType(dtype)) continue;
      throw new TenonError("FILE_INVALID", {
        problem: `the files differ in column "${name}"`,
        given: `${other === undefined ? "no such column" : printType(other)} in ${file.name}`,
        expected: `${printType(dtype)}, as in ${first.file.name}`,
      });
    }
  }
  return schema;
}
