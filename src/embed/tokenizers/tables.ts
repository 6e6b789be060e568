/** Tables: arrays that a tokenizer is built of, kept in a file by the hash of its tokenizer.json, since they take long to make. */
import { createHash, randomBytes } from "node:crypto";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { codeStamp } from "../code-stamp.js";

/** Files that are kept; those that were used longest ago go. */
const MOST_FILES = 32;
const SUM_BYTES = 32;
const ALIGNED = 8;

const KINDS = { Uint16Array, Int32Array } as const;
type Table = Uint16Array | Int32Array;
export type Tables = Readonly<Record<string, Table>>;

interface Entry {
  readonly name: string;
  readonly kind: keyof typeof KINDS;
  readonly length: number;
  readonly at: number;
}

/** What was made before is taken, and what is made is kept, all under one name. */
export interface TableStore {
  take(make: () => Tables): Tables;
}

/** Makes everything, keeps nothing. */
export const NO_TABLES: TableStore = { take: (make) => make() };

/** The tables of a tokenizer.json, in a folder below `cache`. */
export function tableStore(cache: string, json: Uint8Array): TableStore {
  const folder = join(cache, "tokenizers");
  const name = createHash("sha256").update(codeStamp()).update("\0").update(json).digest("hex");
  const file = join(folder, `${name.slice(0, 40)}.tables`);
  return {
    take(make) {
      const kept = readTables(file);
      if (kept !== undefined) return kept;
      const made = make();
      writeTables(folder, file, made);
      return made;
    },
  };
}

/** Undefined where there is none, or it is not as it was written. */
function readTables(file: string): Tables | undefined {
  try {
    const bytes = readFileSync(file);
    const body = bytes.subarray(SUM_BYTES);
    if (Buffer.compare(createHash("sha256").update(body).digest(), bytes.subarray(0, SUM_BYTES)) !== 0)
      return undefined;
    const size = body.readUInt32LE(0);
    const entries = JSON.parse(body.toString("utf8", 4, 4 + size)) as readonly Entry[];
    // Small files share memory that is not aligned.
    const { buffer } = new Uint8Array(body);
    const now = new Date();
    utimesSync(file, now, now);
    return Object.fromEntries(
      entries.map(({ name, kind, length, at }) => [name, new KINDS[kind](buffer, at, length)]),
    );
  } catch {
    return undefined;
  }
}

/** Failures only cost time later. */
function writeTables(folder: string, file: string, tables: Tables): void {
  const temporary = `${file}.${process.pid}.${randomBytes(6).toString("hex")}`;
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writeFileSync(temporary, packed(tables), { mode: 0o600 });
    renameSync(temporary, file);
    const files = readdirSync(folder)
      .map((name) => join(folder, name))
      .map((path) => ({ path, usedAt: statSync(path).mtimeMs }))
      .sort((a, b) => b.usedAt - a.usedAt);
    for (const { path } of files.slice(MOST_FILES)) rmSync(path, { force: true });
  } catch {
    try {
      rmSync(temporary, { force: true });
    } catch {
      return; // no folder either
    }
  }
}

function packed(tables: Tables): Uint8Array {
  const arrays = Object.entries(tables);
  const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNED) * ALIGNED;
  const headerOf = (start: number): string => {
    let at = start;
    const entries = arrays.map(([name, table]): Entry => {
      const kind = table instanceof Uint16Array ? "Uint16Array" : "Int32Array";
      const entry = { name, kind, length: table.length, at } as const;
      at = aligned(at + table.byteLength);
      return entry;
    });
    return JSON.stringify(entries);
  };
  // Places are written with the header, whose length they have a part in.
  const start = aligned(4 + headerOf(2 ** 40).length);
  const header = Buffer.from(headerOf(start));
  const size = arrays.reduce((at, [, table]) => aligned(at + table.byteLength), start);
  const bytes = Buffer.alloc(SUM_BYTES + size);
  const body = bytes.subarray(SUM_BYTES);
  body.writeUInt32LE(header.length, 0);
  header.copy(body, 4);
  let at = start;
  for (const [, table] of arrays) {
    body.set(new Uint8Array(table.buffer, table.byteOffset, table.byteLength), at);
    at = aligned(at + table.byteLength);
  }
  createHash("sha256").update(body).digest().copy(bytes);
  return bytes;
}
