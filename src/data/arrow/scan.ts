/** Arrow IPC files and streams as a scan: a split per record batch. */
import { createHash } from "node:crypto";
import { basename } from "node:path";
import { TenonError } from "../../base/index.js";
import type { SeekableBytes } from "../byte-source.js";
import { type Column, type FieldType, printType, type Schema, sameLogical } from "../column.js";
import { expandGlobs } from "../glob.js";
import { constantColumn, partitionsOf } from "../partitions.js";
import type { RemoteOptions } from "../remote/locate.js";
import type { Chunk, Scan, Source, SourceFile, Split } from "../scan.js";
import { openWhole } from "../whole-file.js";
import { type Dictionaries, readBatch, readDictionary } from "./batch.js";
import { type ArrowIndex, indexMessages, readBlock } from "./messages.js";
import { type ArrowField, fieldsOf, leavesOf } from "./schema.js";

export interface ArrowOptions {
  /** `key=value` folders become text columns. Default true. */
  readonly hive?: boolean;
  /** How files behind URLs are asked for; they are fetched whole, into the temporary folder. */
  readonly remote?: RemoteOptions;
}

export function arrowSource(paths: readonly string[], options: ArrowOptions): Source {
  const hive = options.hive ?? true;
  return {
    identity: { kind: "arrow", paths, hive },
    open: () => openArrowFiles(paths, hive, options.remote),
  };
}

interface OpenFile {
  readonly file: SourceFile;
  readonly bytes: SeekableBytes;
  readonly index: ArrowIndex;
  readonly fields: readonly ArrowField[];
  readonly schema: Schema;
  readonly dictionaries: Dictionaries;
  readonly partitions: ReadonlyMap<string, string | null>;
}

/** Opens the files of `patterns`. Throws FILE_NOT_FOUND, FILE_INVALID. */
export async function openArrowFiles(
  patterns: readonly string[],
  hive: boolean,
  remote?: RemoteOptions,
): Promise<Scan> {
  const files: OpenFile[] = [];
  try {
    for (const path of await expandGlobs(patterns, remote)) files.push(await openFile(path, hive, remote));
    return new ArrowScan(files);
  } catch (error) {
    await Promise.all(files.map(({ bytes }) => bytes.close()));
    throw error;
  }
}

async function openFile(path: string, hive: boolean, remote: RemoteOptions | undefined): Promise<OpenFile> {
  const { name, bytes, size, version } = await openWhole(path, false, remote);
  try {
    const index = await indexMessages(bytes);
    const fields = fieldsOf(index.schema);
    const schema = new Map<string, FieldType>();
    for (const { name, type } of fields.flatMap((field) => leavesOf(field))) {
      if (schema.has(name))
        throw new TenonError("FILE_INVALID", { problem: `two columns have the name "${name}"` });
      schema.set(name, type);
    }
    const text = JSON.stringify([basename(name), size, version, index.hash]);
    return {
      file: {
        name,
        size,
        ...(typeof version === "string" ? { version } : {}),
        contentHash: index.hash,
        fingerprint: createHash("sha256").update(text).digest("hex"),
      },
      bytes,
      index,
      fields,
      schema,
      dictionaries: await dictionariesOf(bytes, index, fields),
      partitions: hive ? partitionsOf(name) : new Map(),
    };
  } catch (error) {
    await bytes.close();
    throw within(error, name);
  }
}

async function dictionariesOf(
  bytes: SeekableBytes,
  { dictionaries }: ArrowIndex,
  fields: readonly ArrowField[],
): Promise<Dictionaries> {
  const byId = new Map<number, ArrowField>();
  const collect = (field: ArrowField): void => {
    if (field.dictionary !== null) byId.set(field.dictionary.id, field);
    field.children.forEach(collect);
  };
  fields.forEach(collect);
  const read = new Map<number, Column>();
  for (const block of dictionaries) {
    const field = byId.get(block.id);
    if (field === undefined) continue;
    const { content, body } = await readBlock(bytes, block);
    const data = content.table(1);
    if (data !== undefined) read.set(block.id, readDictionary(data, body, field, read));
  }
  return read;
}

class ArrowScan implements Scan {
  readonly engine = "ts";
  readonly schema: Schema;
  readonly files: readonly SourceFile[];
  readonly splits: readonly Split[];
  readonly #opened: readonly OpenFile[];
  readonly #batches = new Map<Split, number>();

  constructor(opened: readonly OpenFile[]) {
    this.#opened = opened;
    this.files = opened.map(({ file }) => file);
    this.schema = commonSchema(opened);
    const splits: Split[] = [];
    opened.forEach(({ index }, source) => {
      let row = 0;
      index.batches.forEach(({ rows, body }, i) => {
        if (rows === 0) return;
        const split = { source, row, rows, bytes: body };
        this.#batches.set(split, i);
        splits.push(split);
        row += rows;
      });
    });
    this.splits = splits;
  }

  async read(split: Split, columns: readonly string[], signal?: AbortSignal): Promise<Chunk> {
    signal?.throwIfAborted();
    const opened = this.#opened[split.source]!;
    const { bytes, index, fields, dictionaries, partitions } = opened;
    const wanted = new Set(columns);
    try {
      const { content, body } = await readBlock(bytes, index.batches[this.#batches.get(split)!]!);
      const needed = (field: ArrowField): boolean => leavesOf(field).some(({ name }) => wanted.has(name));
      const read = readBatch(content, body, fields, needed, dictionaries);
      const result = new Map<string, Column>();
      for (const name of columns)
        result.set(
          name,
          partitions.has(name)
            ? constantColumn(partitions.get(name) ?? null, split.rows)
            : read.columns.get(name)!,
        );
      return { rows: split.rows, columns: result };
    } catch (error) {
      throw within(error, opened.file.name);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#opened.map(({ bytes }) => bytes.close()));
  }
}

/** The first file's columns; every file must have them, with the same types. */
function commonSchema(opened: readonly OpenFile[]): Schema {
  const [first, ...others] = opened;
  const schema = new Map<string, FieldType>(first!.schema);
  for (const name of first!.partitions.keys()) schema.set(name, { dtype: "utf8", nullable: true });
  for (const { file, schema: other, partitions } of others)
    for (const [name, field] of schema) {
      const found = partitions.has(name) ? field : other.get(name);
      if (
        found !== undefined &&
        printType(found.dtype) === printType(field.dtype) &&
        sameLogical(found.logical, field.logical)
      )
        continue;
      throw new TenonError("FILE_INVALID", {
        problem: `the files differ in column "${name}"`,
        given: `${found === undefined ? "no such column" : printType(found.dtype)} in ${file.name}`,
        expected: `${printType(field.dtype)}, as in ${first!.file.name}`,
      });
    }
  return schema;
}

/** The error with the file's name; reads outside of the bytes are RangeErrors. */
function within(error: unknown, path: string): unknown {
  if (!(error instanceof TenonError))
    return new TenonError("FILE_INVALID", { problem: "damaged Arrow file", given: path, cause: error });
  if (error.code !== "FILE_INVALID") return error;
  return new TenonError(error.code, {
    problem: error.problem,
    given: error.given === undefined ? path : `${error.given}, in ${path}`,
    ...(error.expected === undefined ? {} : { expected: error.expected }),
    ...(error.do === undefined ? {} : { do: error.do }),
    cause: error,
  });
}
