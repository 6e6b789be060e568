/** What a dataset is to give, before anything is opened: the record that each method of Dataset copies and changes. */
import { createHash } from "node:crypto";
import type { MapModule } from "./map-threads.js";
import type { Source } from "./scan.js";
import type { TensorSpecs } from "./tensors.js";
import type { Where } from "./where.js";

export interface Shuffle {
  readonly seed: number;
  /** Rows that are mixed with each other. */
  readonly window: number;
}

/** The part of the rows whose hash of column `by` lies in `[from, to)` of 0 … 1. */
export interface HashRange {
  readonly by: string;
  readonly from: number;
  readonly to: number;
}

/** Batches of rows of about one length. */
export interface Buckets {
  /** The column that tells the length: of a list its elements, of a text its bytes, of a number the number itself. */
  readonly of: string;
  /** Most elements of a batch: its rows times the longest of them. */
  readonly budget: number;
}

export type LastBatch = "keep" | "drop" | "pad";

export interface Plan {
  readonly source: Source;
  readonly where: Where;
  readonly select: readonly string[] | null;
  readonly tensors: TensorSpecs | null;
  readonly ranges: readonly HashRange[];
  readonly shuffle: Shuffle | null;
  readonly buckets: Buckets | null;
  readonly epoch: number;
  readonly repeat: number;
  readonly shard: readonly [index: number, of: number] | null;
  /** Only these runs of rows, in this order; each must be a split of the source. */
  readonly only: readonly SplitRange[] | null;
  readonly skip: number;
  readonly take: number;
  readonly batch: number;
  readonly last: LastBatch;
  readonly prefetch: number;
  readonly stages: readonly Stage[];
}

/** A split told by its place. */
export interface SplitRange {
  /** Index of the file. */
  readonly file: number;
  /** First row in the file. */
  readonly row: number;
  readonly rows: number;
}

/** A function over whole batches. */
export interface Stage {
  readonly run: (batch: unknown, signal: AbortSignal) => unknown;
  readonly concurrency: number;
  /** The module in whose threads the function runs; null: here. */
  readonly worker: MapModule | null;
}

export function emptyPlan(source: Source): Plan {
  return {
    source,
    where: {},
    select: null,
    tensors: null,
    ranges: [],
    shuffle: null,
    buckets: null,
    epoch: 0,
    repeat: 1,
    shard: null,
    only: null,
    skip: 0,
    take: Number.POSITIVE_INFINITY,
    batch: 4096,
    last: "keep",
    prefetch: 1,
    stages: [],
  };
}

/**
 * Hash of all that decides which rows come in which order: 16 hex digits. Batch size (but of buckets), prefetch and
 * maps are left out, so that they may change between a stop and its resumption.
 */
export function planHash(plan: Plan): string {
  const { source, where, select, tensors, ranges, shuffle, shard, only, skip, buckets, batch } = plan;
  const text = canonicalJson({
    source: source.identity,
    where,
    select,
    tensors,
    ranges,
    shuffle,
    shard,
    only,
    skip,
    // How rows are put into buckets decides their order.
    ...(buckets === null ? {} : { buckets, batch }),
  });
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** JSON with keys in order and bigints as numbers, so that equal values give equal texts. */
export function canonicalJson(value: unknown): string {
  if (typeof value === "bigint") return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item ?? null)).join(",")}]`;
  if (typeof value === "object" && value !== null) {
    const fields = Object.entries(value)
      .filter(([, field]) => field !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1));
    return `{${fields.map(([key, field]) => `${JSON.stringify(key)}:${canonicalJson(field)}`).join(",")}}`;
  }
  return JSON.stringify(value) ?? "null";
}
