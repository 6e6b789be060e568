/** A scan of Parquet whose stored columns an engine reads; all else stays with the scan beneath. */
import { isTenonError, TenonError } from "../../base/index.js";
import type { Column } from "../column.js";
import type { Chunk, Scan, Split } from "../scan.js";
import type { ColumnMemory } from "../workspace.js";

/** Stored columns of one split: `places` tells where each lies, the structs around it first. */
export interface StoredColumns {
  readonly split: Split;
  readonly path: string;
  readonly row: number;
  readonly rows: number;
  readonly places: ReadonlyMap<string, readonly [string, ...string[]]>;
  /** Where numbers go, by engines that use it. */
  readonly memory?: ColumnMemory | undefined;
}

interface Engine extends AsyncDisposable {
  readonly name: string;
  readonly usesMemory?: boolean;
  expect?(splits: readonly Split[]): void;
  read(wanted: StoredColumns): Promise<ReadonlyMap<string, Column>>;
}

/** Schema, files, splits and statistics are those of the footers. Reading throws USAGE for lists of structs, FILE_INVALID. */
export function engineScan(scan: Scan, places: ReadonlyMap<string, readonly string[]>, engine: Engine): Scan {
  return {
    engine: engine.name,
    schema: scan.schema,
    files: scan.files,
    splits: scan.splits,
    usesMemory: engine.usesMemory === true,
    ...(engine.expect === undefined ? {} : { expect: engine.expect.bind(engine) }),
    ...(scan.excludes === undefined ? {} : { excludes: scan.excludes.bind(scan) }),
    async read(
      split: Split,
      columns: readonly string[],
      signal?: AbortSignal,
      memory?: ColumnMemory,
    ): Promise<Chunk> {
      signal?.throwIfAborted();
      const wanted = new Map<string, readonly [string, ...string[]]>();
      for (const name of columns) {
        const place = places.get(name);
        if (place === undefined) continue;
        const [outer, ...inner] = place;
        if (outer === undefined)
          throw new TenonError("USAGE", {
            problem: `column "${name}" is a list of structs, which this engine does not give`,
            do: "leave it out, or read it by the built-in engine",
          });
        wanted.set(name, [outer, ...inner]);
      }
      const { row, rows } = split;
      const path = scan.files[split.source]!.name;
      const read = new Map<string, Column>();
      if (wanted.size > 0)
        try {
          for (const [name, column] of await engine.read({ split, path, row, rows, places: wanted, memory }))
            read.set(name, column);
        } catch (error) {
          throw inFile(error, `${path}, rows from ${row} on`);
        }
      const rest = columns.filter((name) => !places.has(name));
      if (rest.length > 0)
        for (const [name, column] of (await scan.read(split, rest, signal)).columns) read.set(name, column);
      return { rows, columns: read };
    },
    async [Symbol.asyncDispose]() {
      await engine[Symbol.asyncDispose]();
      await scan[Symbol.asyncDispose]();
    },
  };
}

/** The error with the place that was read; an engine that ended over a file says that the file is bad. */
function inFile(error: unknown, place: string): unknown {
  if (isTenonError(error, "FILE_INVALID") || isTenonError(error, "ENGINE_FAILED"))
    return new TenonError("FILE_INVALID", {
      problem: error.problem,
      given: error.given === undefined ? place : `${place}: ${error.given}`,
      ...(error.expected === undefined ? {} : { expected: error.expected }),
      cause: error,
    });
  return error;
}

/** Throws FILE_INVALID unless an engine gave as many rows as the footer says. */
export function checkRows(engine: string, found: number, rows: number): void {
  if (found !== rows)
    throw new TenonError("FILE_INVALID", {
      problem: `${engine} gives another number of rows than the footer says`,
      given: String(found),
      expected: String(rows),
    });
}
