/** Batches of a plan: windows in order, the next one read while this one is cut into batches of a fixed size. */
import { TenonError } from "../base/index.js";
import { type DType, dtypeInfo, type NumericArray } from "../tensor/index.js";
import type { Column, Columns, ColumnType } from "./column.js";
import { ColumnPool } from "./column-pool.js";
import type { Filler } from "./filler.js";
import type { Plan } from "./plan.js";
import { BatchMemory } from "./pool.js";
import { checkPosition, filesHash, type Position } from "./position.js";
import { joinColumns, sliceColumn, takeRows } from "./rows.js";
import type { Scan } from "./scan.js";
import { fillerOf } from "./tensors.js";
import {
  columnsToRead,
  epochOrder,
  type LoadedWindow,
  loadWindow,
  select,
  splitsOf,
  splitsToRead,
  type Window,
  windowsOf,
} from "./window.js";
import { Workspace } from "./workspace.js";

/** Rows that belong together, and where the stream goes on after them. */
export interface RawBatch {
  readonly rows: number;
  readonly data: unknown;
  readonly next: Position;
  /** Where row `row` of the batch lies in the source. */
  origin(row: number): Origin;
  release(): void;
}

/** A row's file, and its place in it from 0 on. */
export interface Origin {
  /** Number of the file in `inspect().files`. */
  readonly source: number;
  readonly file: string;
  readonly row: number;
}

/** A window with its place in the order. */
interface Placed {
  readonly place: number;
  readonly epoch: number;
  readonly window: LoadedWindow;
}

export async function* batchesOf(
  plan: Plan,
  hash: string,
  scan: Scan,
  from: Position | undefined,
  signal: AbortSignal,
  pool = new ColumnPool(),
): AsyncGenerator<RawBatch, void> {
  const files = filesHash(scan.files);
  const seed = plan.shuffle?.seed ?? 0;
  if (from !== undefined) checkPosition(from, hash, scan.files, seed);
  const position = (epoch: number, window: number, row: number, given: number): Position => ({
    v: 1,
    plan: hash,
    files,
    seed,
    epoch,
    window,
    row,
    given,
  });
  const wanted = wantedColumns(plan, scan);
  const memory = new BatchMemory();
  const builder = new Builder(plan, scan, wanted, memory);
  const limit = plan.skip + plan.take;
  // `given` counts rows of the stream before skip and take are applied.
  let given = from?.given ?? 0;
  for await (const { place, epoch, window } of placedWindows(plan, scan, wanted, from, signal, pool)) {
    let row = from !== undefined && place === from.window && epoch === from.epoch ? from.row : 0;
    if (given < plan.skip) {
      const skipped = Math.min(plan.skip - given, window.rows - row);
      given += skipped;
      row += skipped;
    }
    while (row < window.rows && given < limit) {
      // Where a window says where batches end, they end there: none goes on in the next one.
      const end = window.ends?.find((each) => each > row);
      const count = Math.min((end ?? window.rows) - row, builder.room, limit - given);
      builder.add(window, row, row + count);
      row += count;
      given += count;
      if (builder.room > 0 && given < limit && end === undefined) continue;
      const after =
        row === window.rows ? position(epoch, place + 1, 0, given) : position(epoch, place, row, given);
      if (builder.room === 0 || plan.last !== "drop") yield builder.finish(after, plan.last === "pad");
    }
    window.lease?.drop();
    if (given >= limit) break;
    builder.windowEnds(position(epoch, place + 1, 0, given));
  }
  if (builder.rows > 0 && plan.last !== "drop") yield builder.finish(builder.end!, plan.last === "pad");
}

/** Columns that a batch holds or its tensors are made of. */
function wantedColumns(plan: Plan, scan: Scan): string[] {
  if (plan.tensors !== null)
    return [...new Set(Object.values(plan.tensors).flatMap(({ columns }) => columns))];
  return plan.select === null ? [...scan.schema.keys()] : [...plan.select];
}

async function* placedWindows(
  plan: Plan,
  scan: Scan,
  wanted: readonly string[],
  from: Position | undefined,
  signal: AbortSignal,
  pool: ColumnPool,
): AsyncGenerator<Placed, void> {
  if (scan.splits === null) {
    yield* streamed(plan, scan, wanted, from, signal);
    return;
  }
  const windows = windowsOf(splitsOf(scan, plan), plan);
  const workspace = workspaceFor(plan, scan, windows, wanted);
  const memory = workspace === undefined ? { pool } : { workspace };
  let number = 0;
  const jobs = function* (): Generator<() => Promise<Placed>> {
    for (let epoch = from?.epoch ?? plan.epoch; epoch < plan.epoch + plan.repeat; epoch++) {
      const order = epochOrder(windows, plan, epoch);
      const first = epoch === from?.epoch ? from.window : 0;
      scan.expect?.(order.slice(first).flatMap((window) => splitsToRead(scan, window, plan)));
      for (let place = first; place < order.length; place++) {
        yield async () => ({
          place,
          epoch,
          window: await loadWindow(scan, order[place]!, wanted, plan, epoch, signal, memory, number++),
        });
      }
    }
  };
  // One window is read ahead: its bytes arrive while the rows of this one are given out.
  let ahead: Promise<Placed> | undefined;
  try {
    for (const job of jobs()) {
      const current = ahead;
      ahead = job();
      ahead.catch(() => undefined);
      if (current !== undefined) yield await current;
    }
    if (ahead !== undefined) yield await ahead;
  } finally {
    await ahead?.catch(() => undefined);
  }
}

/** Memory for windows whose columns become rows of float32; undefined where there are none, or it is not to be had. */
function workspaceFor(
  plan: Plan,
  scan: Scan,
  windows: readonly Window[],
  wanted: readonly string[],
): Workspace | undefined {
  const packs = Object.values(plan.tensors ?? {}).filter(
    ({ kind, dtype, columns }) =>
      kind === "pack" &&
      dtype === "float32" &&
      columns.every((name) => scan.schema.get(name)!.dtype === "float32"),
  );
  if (packs.length === 0 || scan.usesMemory !== true) return undefined;
  const rows = windows.reduce((most, window) => Math.max(most, window.rows), 0);
  const splits = windows.reduce((most, window) => Math.max(most, window.splits.length), 0);
  const widths = columnsToRead(wanted, plan).map((name) => storedBytes(scan.schema.get(name)!.dtype));
  return Workspace.create({
    columns: widths.reduce((sum, width) => sum + rows * width + splits * COLUMN_ROUNDING, 0),
    orderedRows: plan.shuffle === null ? 0 : rows,
    packs: packs.map(({ columns }) => columns.length),
  });
}

/** Each column of a split starts on a boundary, with room for levels in front of it. */
const COLUMN_ROUNDING = 192;

/** Bytes of a value while it is decoded; texts and lists have memory of their own. */
function storedBytes(dtype: ColumnType): number {
  if (typeof dtype !== "string" || dtype === "utf8" || dtype === "binary") return 0;
  return Math.max(4, dtypeInfo(dtype).bits / 8);
}

async function* streamed(
  plan: Plan,
  scan: Scan,
  wanted: readonly string[],
  from: Position | undefined,
  signal: AbortSignal,
): AsyncGenerator<Placed, void> {
  if (plan.shuffle !== null || plan.shard !== null || plan.repeat > 1 || scan.stream === undefined) {
    throw new TenonError("USAGE", {
      problem: "a stream can be read once, from its start, in its order",
      given: "shuffle, shard or repeat",
      do: "write the rows to a file first",
    });
  }
  let place = 0;
  for await (const chunk of scan.stream(columnsToRead(wanted, plan), signal)) {
    if (from === undefined || place >= from.window)
      yield { place, epoch: plan.epoch, window: select([chunk], [], plan, plan.epoch, place) };
    place++;
  }
}

/** Collects rows until a batch is full. */
class Builder {
  readonly #plan: Plan;
  readonly #scan: Scan;
  readonly #wanted: readonly string[];
  readonly #memory: BatchMemory;
  #fillers: Map<string, Filler> | undefined;
  #taken: NumericArray[] = [];
  #pieces: { readonly columns: ReadonlyMap<string, Column>; readonly rows: number }[] = [];
  #origins: RowRun[] = [];
  rows = 0;
  /** Where the stream goes on after the rows so far, once a window has ended. */
  end: Position | undefined;

  constructor(plan: Plan, scan: Scan, wanted: readonly string[], memory: BatchMemory) {
    this.#plan = plan;
    this.#scan = scan;
    this.#wanted = wanted;
    this.#memory = memory;
  }

  get room(): number {
    return this.#plan.batch - this.rows;
  }

  windowEnds(end: Position): void {
    this.end = end;
  }

  add(window: LoadedWindow, from: number, to: number): void {
    this.#origins.push({ window, from, at: this.rows });
    window.lease?.hold();
    const { tensors } = this.#plan;
    if (tensors === null)
      this.#pieces.push({ columns: cut(window, this.#wanted, from, to), rows: to - from });
    else {
      this.#fillers ??= this.#newFillers();
      for (const filler of this.#fillers.values()) filler.fill(window, from, to, this.rows);
    }
    this.rows += to - from;
  }

  #newFillers(): Map<string, Filler> {
    const fillers = new Map<string, Filler>();
    const take = (dtype: DType, entries: number): NumericArray => {
      const values = this.#memory.take(dtype, entries);
      this.#taken.push(values);
      return values;
    };
    for (const [name, spec] of Object.entries(this.#plan.tensors!))
      fillers.set(name, fillerOf(spec, this.#scan.schema, this.#plan.batch, take));
    return fillers;
  }

  finish(next: Position, pad: boolean): RawBatch {
    const rows = this.rows;
    const taken = this.#taken;
    const memory = this.#memory;
    const full = pad ? this.#plan.batch : rows;
    let data: Record<string, unknown>;
    if (this.#fillers === undefined) data = this.#joinPieces();
    else {
      data = Object.create(null) as Record<string, unknown>;
      if (full > rows)
        for (const values of taken) values.fill(0 as never, (values.length / this.#plan.batch) * rows);
      for (const [name, filler] of this.#fillers) data[name] = filler.finish(full);
    }
    let held = true;
    const origins = this.#origins;
    const scan = this.#scan;
    this.#origins = [];
    const batch: RawBatch = {
      rows,
      next,
      origin: (row) => originOf(origins, row, scan),
      get data() {
        if (held) return data;
        throw new TenonError("USAGE", {
          problem: "a batch is read after its release",
          do: "release it after the last use",
        });
      },
      release() {
        if (!held) return;
        held = false;
        for (const values of taken) memory.give(values);
        for (const { window } of origins) window.lease?.drop();
      },
    };
    this.#fillers = undefined;
    this.#taken = [];
    this.#pieces = [];
    this.rows = 0;
    return batch;
  }

  #joinPieces(): Columns {
    const joined = Object.create(null) as Record<string, Column>;
    for (const name of this.#wanted)
      joined[name] = joinColumns(
        name,
        this.#pieces.map(({ columns, rows }) => ({ column: columns.get(name)!, rows })),
      );
    return joined;
  }
}

/** Rows of a batch from `at` on, which are those of a window from `from` on. */
interface RowRun {
  readonly window: LoadedWindow;
  readonly from: number;
  readonly at: number;
}

function originOf(runs: readonly RowRun[], row: number, scan: Scan): Origin {
  const run = runs.findLast(({ at }) => at <= row)!;
  const { order, splits } = run.window;
  let place = run.from + row - run.at;
  if (order !== null) place = order[place]!;
  for (const split of splits) {
    if (place < split.rows)
      return { source: split.source, file: scan.files[split.source]!.name, row: split.row + place };
    place -= split.rows;
  }
  return { source: 0, file: scan.files[0]?.name ?? "", row: place };
}

function cut(
  window: LoadedWindow,
  names: readonly string[],
  from: number,
  to: number,
): ReadonlyMap<string, Column> {
  const columns = new Map<string, Column>();
  const order = window.order?.subarray(from, to);
  for (const name of names) {
    const column = window.columns.get(name)!;
    columns.set(name, order === undefined ? sliceColumn(column, from, to) : takeRows(column, order));
  }
  return columns;
}
