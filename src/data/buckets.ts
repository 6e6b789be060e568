/** Buckets: the rows of a window put into batches of about one length, so that little is padded. */
import { TenonError } from "../base/index.js";
import type { Column, Schema } from "./column.js";
import type { Buckets, Plan } from "./plan.js";
import { keyOf, permutation } from "./random.js";

/** The order of a window's rows, and where its batches end in it. */
export interface Bucketed {
  readonly order: Uint32Array;
  readonly ends: readonly number[];
}

/**
 * Rows by length, those of one length in the order that they had; batches of at most `plan.batch` rows and `budget` elements,
 * a longer row alone. Shuffled datasets have the batches in an order of their own, others the short ones first.
 */
export function bucketed(
  { of, budget }: Buckets,
  column: Column,
  rows: number,
  order: Uint32Array | null,
  plan: Plan,
  epoch: number,
  window: number,
): Bucketed {
  const lengths = new Float64Array(rows);
  for (let i = 0; i < rows; i++) lengths[i] = lengthOf(of, column, order === null ? i : order[i]!);
  const sorted = new Uint32Array(rows);
  for (let i = 0; i < rows; i++) sorted[i] = i;
  sorted.sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  const batches: Uint32Array[] = [];
  for (let from = 0; from < rows; ) {
    let to = from + 1;
    while (to < rows && to - from < plan.batch && (to + 1 - from) * lengths[sorted[to]!]! <= budget) to++;
    batches.push(sorted.subarray(from, to));
    from = to;
  }
  const mixed = new Uint32Array(rows);
  const ends: number[] = [];
  let at = 0;
  const places =
    plan.shuffle === null
      ? batches.keys()
      : permutation(batches.length, keyOf(plan.shuffle.seed, epoch, window, budget));
  for (const place of places) {
    for (const row of batches[place]!) mixed[at++] = order === null ? row : order[row]!;
    ends.push(at);
  }
  return { order: mixed, ends };
}

function lengthOf(name: string, column: Column, row: number): number {
  if (column.valid !== null && column.valid[row] === 0) return 0;
  if (column.kind !== "fixed") return column.offsets[row + 1]! - column.offsets[row]!;
  const length = Number(column.values[row]!);
  if (length >= 0 && Number.isFinite(length)) return length;
  throw new TenonError("TENSOR_VALUE", {
    problem: `column "${name}" gives no length`,
    given: `${length} in row ${row}`,
    expected: "numbers of 0 and more",
    details: { column: name, row },
  });
}

/** Throws USAGE where buckets cannot be made of the plan's columns. */
export function checkBuckets({ buckets, last }: Plan, schema: Schema): void {
  if (buckets === null) return;
  if (!schema.has(buckets.of))
    throw new TenonError("USAGE", {
      problem: `there is no column "${buckets.of}" to tell lengths by`,
      expected: `one of ${[...schema.keys()].slice(0, 20).join(", ")}`,
    });
  if (last !== "keep")
    throw new TenonError("USAGE", {
      problem: "batches of buckets differ in their rows, so that none is the last incomplete one",
      given: `last: "${last}"`,
      do: "leave `last` out",
    });
}
