/** A lazy frame whose plan makes each row of one row of a Parquet file, run in windows of that file's rows. */
import { stat } from "node:fs/promises";
import { isTenonError, TenonError } from "../../base/index.js";
import { type ArrowField, leavesOf } from "../arrow/schema.js";
import { type Column, columnValue, type FieldType, type Schema } from "../column.js";
import { parquetSource } from "../parquet/scan.js";
import type { Chunk, Scan, SourceFile, Split } from "../scan.js";
import { countOf, type LocalPlan, withColumns } from "./lazy-plan.js";
import { columnsOf, fitting, streamFields } from "./polars-answer.js";
import type { PolarsThread } from "./polars-messages.js";

/** Row groups are asked for together up to this many rows, since a question costs about 20 ms; larger ones are not divided. */
const WINDOW_ROWS = 131_072;

/** Rows of the scanned file. */
interface Range {
  readonly row: number;
  readonly rows: number;
  readonly bytes: number;
}

/** The file of the plan as the built-in reader sees it. */
export interface ScannedFile {
  readonly file: SourceFile;
  readonly stamp: string;
  readonly ranges: readonly Range[];
}

/** Opens the file of a plan and closes it again. Throws FILE_NOT_FOUND, FILE_INVALID. */
export async function scannedFile(path: string): Promise<ScannedFile> {
  const stamp = await stampOf(path);
  await using scan = await parquetSource([path], { hive: false }).open();
  const ranges: Range[] = [];
  for (const { row, rows, bytes } of scan.splits!) {
    const last = ranges.at(-1);
    if (last !== undefined && last.rows + rows <= WINDOW_ROWS)
      ranges[ranges.length - 1] = { row: last.row, rows: last.rows + rows, bytes: last.bytes + bytes };
    else ranges.push({ row, rows, bytes });
  }
  const file = scan.files[0]!;
  return { file: { ...file, name: `lazy frame of ${file.name}` }, stamp, ranges };
}

async function stampOf(path: string): Promise<string> {
  const { size, mtimeNs, ino } = await stat(path, { bigint: true });
  return `${size} ${mtimeNs} ${ino}`;
}

/** A scan of the plan's rows, or what keeps it from windows. Throws USAGE where polars cannot run the plan. */
export async function openWindows(
  plan: LocalPlan,
  scanned: ScannedFile,
  thread: PolarsThread,
  signal?: AbortSignal,
): Promise<Scan | { readonly because: string }> {
  const run = new PlanRun(plan, scanned, thread);
  const fields = await streamFields(await run.ask(plan.window(0, 0), 0));
  const stored = await streamFields(await run.ask(plan.scan, 0));
  // Categories are numbered as they come: another window has others.
  if ([...fields, ...stored].some(hasDictionary)) return { because: "a column of categories" };
  await run.cut(signal);
  return new LazyScan(run, scanned.file, fields);
}

function hasDictionary({ dictionary, children }: ArrowField): boolean {
  return dictionary !== null || children.some(hasDictionary);
}

class PlanRun {
  readonly #plan: LocalPlan;
  readonly #scanned: ScannedFile;
  readonly #thread: PolarsThread;
  readonly #ranges = new Map<Split, Range>();

  constructor(plan: LocalPlan, scanned: ScannedFile, thread: PolarsThread) {
    this.#plan = plan;
    this.#scanned = scanned;
    this.#thread = thread;
  }

  /** The splits, in the order of the rows. */
  get splits(): Split[] {
    return [...this.#ranges.keys()];
  }

  /** Counts the rows of each window where some may be left out. */
  async cut(signal: AbortSignal | undefined): Promise<void> {
    let row = 0;
    for (const range of this.#scanned.ranges) {
      signal?.throwIfAborted();
      const rows = this.#plan.filtered ? await this.#count(range) : range.rows;
      if (rows === 0) continue;
      const bytes = Math.ceil((range.bytes * rows) / range.rows);
      this.#ranges.set({ source: 0, row, rows, bytes }, range);
      row += rows;
    }
  }

  async #count({ row, rows }: Range): Promise<number> {
    const columns = await columnsOf(await this.ask(countOf(this.#plan.window(row, rows)), row), 1);
    return Number(columnValue([...columns.values()][0]!, 0));
  }

  read(split: Split, columns: readonly string[]): Promise<Uint8Array> {
    const { row, rows } = this.#ranges.get(split)!;
    return this.ask(withColumns(this.#plan.window(row, rows), columns), row);
  }

  /** Runs a plan for rows from `row` on. */
  async ask(plan: string, row: number): Promise<Uint8Array> {
    try {
      return (await this.#thread.ask({ kind: "plan", plan })).bytes;
    } catch (error) {
      if (!isTenonError(error, "FILE_INVALID")) throw error;
      throw new TenonError("USAGE", {
        problem: "polars cannot collect the lazy frame",
        given: `${this.#plan.path}, rows from ${row} on${error.given === undefined ? "" : `: ${error.given}`}`,
        cause: error,
      });
    } finally {
      await this.#checkFile();
    }
  }

  /** Polars opens the file anew for each window. */
  async #checkFile(): Promise<void> {
    const { path } = this.#plan;
    const now = await stampOf(path).catch(() => "gone");
    if (now !== this.#scanned.stamp)
      throw new TenonError("FILE_INVALID", {
        problem: "the file of a lazy frame changed while it was read",
        given: path,
        expected: "the file as it was when the dataset was opened",
      });
  }

  close(): Promise<void> {
    return this.#thread.close();
  }
}

class LazyScan implements Scan {
  readonly engine = "polars";
  readonly how = "windows of the plan";
  readonly schema: Schema;
  readonly files: readonly SourceFile[];
  readonly splits: readonly Split[];
  readonly #run: PlanRun;
  /** The column of the frame that a column lies in. */
  readonly #outer = new Map<string, string>();

  constructor(run: PlanRun, file: SourceFile, fields: readonly ArrowField[]) {
    this.#run = run;
    this.files = [file];
    this.splits = run.splits;
    const schema = new Map<string, FieldType>();
    for (const field of fields)
      for (const { name, type } of leavesOf(field)) {
        if (schema.has(name))
          throw new TenonError("FILE_INVALID", { problem: `two columns have the name "${name}"` });
        schema.set(name, type);
        this.#outer.set(name, field.name);
      }
    this.schema = schema;
  }

  async read(split: Split, columns: readonly string[], signal?: AbortSignal): Promise<Chunk> {
    signal?.throwIfAborted();
    const read = new Map<string, Column>();
    if (columns.length > 0) {
      const outer = new Set(columns.map((name) => this.#outer.get(name)!));
      const found = await columnsOf(await this.#run.read(split, [...outer]), split.rows);
      for (const name of columns) read.set(name, fitting(name, found.get(name), this.schema.get(name)!));
    }
    return { rows: split.rows, columns: read };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#run.close();
  }
}
