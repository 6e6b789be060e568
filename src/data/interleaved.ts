/** Several datasets as one stream of batches: which of them gives the next batch is drawn by weight, without state. */
import { createHash } from "node:crypto";
import { TenonError } from "../base/index.js";
import type { Dataset } from "./dataset.js";
import type { Batch, PipelineIterator } from "./iterator.js";
import { canonicalJson } from "./plan.js";
import type { Position } from "./position.js";
import { drawOf, type Key, keyOf } from "./random.js";
import { wholeNumber } from "./whole-number.js";

export interface InterleaveOptions {
  /** How often each dataset is drawn, in proportion; one per dataset, above 0, with a finite sum. Default: all alike. */
  readonly weights?: readonly number[];
  /** Default 0. */
  readonly seed?: number;
  /** When the stream ends: once every dataset has (those that have are drawn no more), or with the first. Default `all`. */
  readonly until?: "all" | "first";
}

/** Where an interleaved stream stopped, as JSON. */
export interface InterleavedPosition {
  readonly v: 1;
  /** Hash of weights, seed and end. */
  readonly plan: string;
  /** Batches given so far. */
  readonly step: number;
  /** Where each dataset goes on: null at its start, `end` when it has none left. */
  readonly parts: readonly (Position | "end" | null)[];
}

export interface InterleavedBatch<T> extends Omit<Batch<T>, "next" | "origin"> {
  /** Number of the dataset that the batch comes from. */
  readonly dataset: number;
  /** Where a row lies in the files of that dataset. */
  readonly origin: Batch<T>["origin"];
  readonly next: InterleavedPosition;
}

/** Batches of several datasets, each in its own order. */
export interface Interleaved<T> extends AsyncIterable<InterleavedBatch<T>> {
  /** From the start, or from where a batch's `next` says: then bit-identical to a stream that did not stop. */
  iterate(options?: {
    readonly from?: InterleavedPosition;
    readonly signal?: AbortSignal;
  }): AsyncGenerator<InterleavedBatch<T>, void>;
}

/**
 * Mixes the batches of datasets: each batch comes whole from one of them, drawn by its weight; the same seed gives the same
 * sequence. Throws USAGE for weights that do not fit, and at a position of other datasets.
 */
export function interleave<T>(
  datasets: readonly Dataset<T>[],
  options: InterleaveOptions = {},
): Interleaved<T> {
  const weights = options.weights ?? datasets.map(() => 1);
  const until = options.until ?? "all";
  const seed = wholeNumber("the seed of an interleave", options.seed ?? 0, 0);
  if (
    datasets.length === 0 ||
    weights.length !== datasets.length ||
    !weights.every((weight) => weight > 0) ||
    !Number.isFinite(weights.reduce((sum, weight) => sum + weight, 0))
  )
    throw new TenonError("USAGE", {
      problem: "the weights of an interleave",
      given: `${JSON.stringify(weights)} for ${datasets.length} datasets`,
      expected: "a number above 0 for each of one dataset or more, with a finite sum",
    });
  const plan = createHash("sha256")
    .update(canonicalJson({ weights, seed, until }))
    .digest("hex")
    .slice(0, 16);
  const iterate: Interleaved<T>["iterate"] = async function* ({ from, signal } = {}) {
    if (from !== undefined) checkFrom(from, plan, datasets.length);
    const parts: (Position | "end" | null)[] = [...(from?.parts ?? datasets.map(() => null))];
    const open = new Map<number, PipelineIterator<T>>();
    const key = keyOf(seed);
    try {
      for (let step = from?.step ?? 0; ; ) {
        if (until === "first" ? parts.includes("end") : parts.every((part) => part === "end")) return;
        const index = drawn(weights, parts, key, step);
        let source = open.get(index);
        if (source === undefined) {
          const start = parts[index] as Position | null; // it is drawn, so it has not ended
          source = datasets[index]!.iterate({
            ...(start === null ? {} : { from: start }),
            ...(signal === undefined ? {} : { signal }),
          });
          open.set(index, source);
        }
        const result = await source.next();
        if (result.done === true) {
          parts[index] = "end";
          continue;
        }
        parts[index] = result.value.next;
        yield placed(result.value, index, { v: 1, plan, step: ++step, parts: [...parts] });
      }
    } finally {
      for (const source of open.values()) await source.return();
    }
  };
  return { iterate, [Symbol.asyncIterator]: () => iterate() };
}

/** The dataset of a step: the draw does not depend on the steps before, only on which datasets have ended. */
function drawn(weights: readonly number[], parts: readonly unknown[], key: Key, step: number): number {
  const live = weights.map((weight, i) => (parts[i] === "end" ? 0 : weight));
  let left = (drawOf(key, step) / 2 ** 32) * live.reduce((sum, weight) => sum + weight, 0);
  let last = 0;
  for (const [i, weight] of live.entries()) {
    if (weight === 0) continue;
    last = i;
    if (left < weight) break;
    left -= weight;
  }
  return last;
}

function placed<T>(batch: Batch<T>, dataset: number, next: InterleavedPosition): InterleavedBatch<T> {
  return {
    dataset,
    rows: batch.rows,
    next,
    get data() {
      return batch.data;
    },
    origin: (row) => batch.origin(row),
    release: () => batch.release(),
    [Symbol.dispose]: () => batch.release(),
  };
}

function checkFrom({ v, plan, step, parts }: InterleavedPosition, expected: string, datasets: number): void {
  if (v === 1 && plan === expected && Number.isSafeInteger(step) && step >= 0 && parts.length === datasets)
    return;
  throw new TenonError("USAGE", {
    problem: "the position belongs to another interleave: weights, seed, end or number of datasets differ",
    given: plan,
    expected,
  });
}
