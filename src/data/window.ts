/** Windows: runs of splits that are read and shuffled as one; where each lies in the order of an epoch. */
import { createHash } from "node:crypto";
import { TenonError } from "../base/index.js";
import { type Bucketed, bucketed } from "./buckets.js";
import { type Column, columnValue, type Schema } from "./column.js";
import type { ColumnLease, ColumnPool } from "./column-pool.js";
import type { HashRange, Plan } from "./plan.js";
import { keyOf, permutation } from "./random.js";
import type { Source } from "./row-source.js";
import { joinColumns } from "./rows.js";
import type { Chunk, Scan, Split } from "./scan.js";
import { boundsOf, evaluate } from "./where.js";
import type { Workspace } from "./workspace.js";

export interface Window {
  /** Place in the files' own order. */
  readonly index: number;
  readonly splits: readonly Split[];
  readonly rows: number;
}

/** Rows and bytes of a window where no shuffle asks for more. */
const PLAIN_ROWS = 131_072;
const PLAIN_BYTES = 2 ** 24;

/** The splits that the plan wants. Throws USAGE for a range that is no split. */
export function splitsOf(scan: Scan, { only }: Plan): readonly Split[] {
  const all = scan.splits ?? [];
  if (only === null) return all;
  const byPlace = new Map(all.map((split) => [`${split.source} ${split.row} ${split.rows}`, split]));
  return only.map(({ file, row, rows }) => {
    const split = byPlace.get(`${file} ${row} ${rows}`);
    if (split !== undefined) return split;
    throw new TenonError("USAGE", {
      problem: "the source has no such run of rows",
      given: `rows ${row} to ${row + rows} of file ${file}`,
    });
  });
}

/** Joins neighbouring splits while they stay within the wanted rows; one split is never cut. */
export function windowsOf(splits: readonly Split[], plan: Pick<Plan, "shuffle">): Window[] {
  const most = plan.shuffle?.window ?? PLAIN_ROWS;
  const mostBytes = plan.shuffle === null ? PLAIN_BYTES : Number.POSITIVE_INFINITY;
  const windows: Window[] = [];
  let group: Split[] = [];
  let rows = 0;
  let bytes = 0;
  const close = (): void => {
    if (group.length > 0) windows.push({ index: windows.length, splits: group, rows });
    group = [];
    rows = 0;
    bytes = 0;
  };
  for (const split of splits) {
    if (rows + split.rows > most || bytes + split.bytes > mostBytes) close();
    group.push(split);
    rows += split.rows;
    bytes += split.bytes;
  }
  close();
  return windows;
}

/** The windows in the order of an epoch, those of this shard only. */
export function epochOrder(windows: readonly Window[], plan: Plan, epoch: number): Window[] {
  const { shuffle, shard } = plan;
  let ordered = [...windows];
  if (shuffle !== null) {
    const order = permutation(windows.length, keyOf(shuffle.seed, epoch));
    ordered = Array.from(order, (index) => windows[index]!);
  }
  return shard === null ? ordered : ordered.filter((_, place) => place % shard[1] === shard[0]);
}

/** A window's rows, ready to be taken: `order` tells which, and in which order; null: all as they are. */
export interface LoadedWindow extends Source {
  /** Rows that `order` gives, or all. */
  readonly rows: number;
  /** Where batches end, where that is not left to their size. */
  readonly ends?: Bucketed["ends"] | undefined;
  /** The splits whose rows the columns hold, one after the other. */
  readonly splits: readonly Split[];
  /** The memory of the columns, where batches that show them hold it. */
  readonly lease?: ColumnLease | undefined;
}

/** Where the columns of windows are decoded to: one memory for all of them, or one that their batches hold. */
export type WindowMemory = { readonly workspace: Workspace } | { readonly pool: ColumnPool };

/** Columns that must be read: those wanted, those of the filter, those of hash ranges. */
export function columnsToRead(wanted: readonly string[], plan: Plan): string[] {
  const lengths = plan.buckets === null ? [] : [plan.buckets.of];
  return [
    ...new Set([...wanted, ...Object.keys(plan.where), ...plan.ranges.map(({ by }) => by), ...lengths]),
  ];
}

export async function loadWindow(
  scan: Scan,
  window: Window,
  wanted: readonly string[],
  plan: Plan,
  epoch: number,
  signal: AbortSignal,
  memory: WindowMemory,
  number: number,
): Promise<LoadedWindow> {
  const names = columnsToRead(wanted, plan);
  const splits = splitsToRead(scan, window, plan);
  const workspace = "workspace" in memory ? memory.workspace : undefined;
  const lease = "pool" in memory ? memory.pool.lease() : undefined;
  const room = lease ?? workspace?.slot(number);
  const parts = await readSplits(splits, (split) => scan.read(split, names, signal, room));
  return { ...select(parts, splits, plan, epoch, window.index), workspace, lease };
}

/** Two at a time: the bytes of one come while another is decoded, and no more of them are held than that. */
async function readSplits(
  splits: readonly Split[],
  read: (split: Split) => Promise<Chunk>,
): Promise<Chunk[]> {
  const parts: Chunk[] = [];
  let ahead: Promise<Chunk> | undefined;
  try {
    for (const split of splits) {
      const current = ahead;
      ahead = read(split);
      ahead.catch(() => undefined);
      if (current !== undefined) parts.push(await current);
    }
    if (ahead !== undefined) parts.push(await ahead);
    return parts;
  } finally {
    await ahead?.catch(() => undefined);
  }
}

/** The splits that `loadWindow` will read of a window. */
export function splitsToRead(scan: Scan, window: Window, plan: Plan): Split[] {
  return window.splits.filter((split) => !excluded(scan, split, plan));
}

function excluded(scan: Scan, split: Split, plan: Plan): boolean {
  if (scan.excludes === undefined) return false;
  return Object.entries(plan.where).some(([name, condition]) => {
    const [low, high] = boundsOf(name, condition, scan.schema.get(name)!);
    return (low !== null || high !== null) && scan.excludes!(split, name, low, high);
  });
}

/** Columns of several chunks, each joined when it is asked for. */
class JoinedColumns {
  readonly #parts: readonly Chunk[];
  readonly #joined = new Map<string, Column>();

  constructor(parts: readonly Chunk[]) {
    this.#parts = parts;
  }

  get(name: string): Column | undefined {
    const known = this.#joined.get(name);
    if (known !== undefined || this.#parts.length === 0) return known;
    const joined = joinColumns(
      name,
      this.#parts.map(({ columns, rows }) => ({ column: columns.get(name)!, rows })),
    );
    this.#joined.set(name, joined);
    return joined;
  }
}

/** Applies filter, hash ranges and shuffle to chunks. */
export function select(
  parts: readonly Chunk[],
  splits: readonly Split[],
  plan: Plan,
  epoch: number,
  index: number,
): LoadedWindow {
  let order: Uint32Array | null = null;
  let rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const columns = parts.length === 1 ? parts[0]!.columns : new JoinedColumns(parts);
  if (rows > 0 && (Object.keys(plan.where).length > 0 || plan.ranges.length > 0)) {
    const keep = evaluate(plan.where, columns, rows);
    for (const range of plan.ranges) keepRange(range, columns.get(range.by)!, keep);
    let kept = 0;
    for (const flag of keep) kept += flag;
    if (kept < rows) {
      order = new Uint32Array(kept);
      for (let i = 0, o = 0; i < rows; i++) if (keep[i] === 1) order[o++] = i;
      rows = kept;
    }
  }
  if (plan.shuffle !== null) {
    const mixed = permutation(rows, keyOf(plan.shuffle.seed, epoch, index));
    if (order !== null) for (let i = 0; i < rows; i++) mixed[i] = order[mixed[i]!]!;
    order = mixed;
  }
  if (plan.buckets === null || rows === 0) return { columns, parts, order, rows, splits };
  const { of } = plan.buckets;
  const made = bucketed(plan.buckets, columns.get(of)!, rows, order, plan, epoch, index);
  return { columns, parts, order: made.order, ends: made.ends, rows, splits };
}

function keepRange({ from, to }: HashRange, column: Column, keep: Uint8Array): void {
  for (let i = 0; i < keep.length; i++) {
    if (keep[i] === 0) continue;
    const at = hashOf(columnValue(column, i));
    if (at < from || at >= to) keep[i] = 0;
  }
}

/** A place in 0 … 1 for a value; the same on every machine. */
function hashOf(value: unknown): number {
  const text = value instanceof Uint8Array ? value : String(value);
  return createHash("md5").update(text).digest().readUInt32BE(0) / 2 ** 32;
}

/** Throws USAGE for a column of `split` that is not there. */
export function checkRanges(ranges: readonly HashRange[], schema: Schema): void {
  for (const { by } of ranges)
    if (!schema.has(by)) throw new TenonError("USAGE", { problem: `there is no column "${by}" to split by` });
}
