/** What a served model has done: requests by outcome, batches by size, and where the time went. */
import { type ErrorCode, isTenonError } from "../../base/index.js";
import type { Inputs, Outputs } from "../../runtime/index.js";
import type { ServedModel, ServedRunOptions } from "../served-model.js";

/** How often something happened, and how long it took together. */
export interface Duration {
  count: number;
  ns: number;
}

/** Why requests failed, as Triton's metrics tell it. */
export type FailureReason = "REJECTED" | "CANCELED" | "BACKEND" | "OTHER";

const REASONS: Partial<Readonly<Record<ErrorCode, FailureReason>>> = {
  QUEUE_FULL: "REJECTED",
  QUEUE_TIMEOUT: "REJECTED",
  DEADLINE: "REJECTED",
  CANCELLED: "CANCELED",
  ENGINE_FAILED: "BACKEND",
  MODEL_CRASHED: "BACKEND",
};

/** Counts of values up to each bound; the last count is of all. */
export class Histogram {
  readonly bounds: readonly number[];
  readonly counts: number[];
  count = 0;
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.bounds = bounds;
    this.counts = bounds.map(() => 0);
  }

  add(value: number): void {
    this.count++;
    this.sum += value;
    for (let i = this.bounds.length - 1; i >= 0 && value <= this.bounds[i]!; i--) this.counts[i]!++;
  }
}

const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];
const ROWS = [1, 2, 4, 8, 16, 32, 64, 128];
const RATIOS = [1, 1.05, 1.1, 1.15, 1.2, 1.25, 1.5, 2];

/** Requests after which the model's own log of batches is read: it keeps 4,096. */
const READ_AFTER = 512;

const none = (): Duration => ({ count: 0, ns: 0 });

function add(duration: Duration, ms: number, count = 1): void {
  duration.count += count;
  duration.ns += Math.round(ms * 1e6);
}

/** The counters of one model. */
export class ModelStatistics {
  readonly #model: ServedModel;
  readonly success = none();
  readonly fail = none();
  readonly #queue = none();
  readonly #computeInfer = none();
  readonly #cacheHit = none();
  readonly #cacheMiss = none();
  readonly #batches = new Map<number, Duration>();
  readonly failures: Record<FailureReason, number> = { REJECTED: 0, CANCELED: 0, BACKEND: 0, OTHER: 0 };
  readonly requestSeconds = new Histogram(SECONDS);
  readonly queueSeconds = new Histogram(SECONDS);
  readonly batchRows = new Histogram(ROWS);
  readonly paddingRatio = new Histogram(RATIOS);
  /** Milliseconds since 1970. */
  lastInference = 0;
  #inferenceCount = 0;
  #executionCount = 0;
  /** The newest batch that was read. Those before the first request warmed the model up. */
  #lastBatch: number;
  #unread = 0;

  constructor(model: ServedModel) {
    this.#model = model;
    this.#lastBatch = model.explain(1)[0]?.id ?? -1;
  }

  /** A request was answered. */
  succeeded(ms: number): void {
    add(this.success, ms);
    this.requestSeconds.add(ms / 1000);
    this.lastInference = Date.now();
    if (++this.#unread >= READ_AFTER) this.#read();
  }

  /** An answer came from the response cache; the request counts besides. */
  hit(ms: number): void {
    add(this.#cacheHit, ms);
  }

  /** A request was looked up in vain; `ms` with keeping its answer. */
  missed(ms: number): void {
    add(this.#cacheMiss, ms);
  }

  failed(code: ErrorCode, ms: number): void {
    add(this.fail, ms);
    this.failures[REASONS[code] ?? "OTHER"]++;
    if (++this.#unread >= READ_AFTER) this.#read();
  }

  #read(): void {
    this.#unread = 0;
    const newest = this.#model.explain(1)[0]?.id ?? -1;
    if (newest <= this.#lastBatch) return;
    for (const record of this.#model.explain(newest - this.#lastBatch)) {
      if (record.error !== undefined) continue;
      this.#executionCount++;
      this.#inferenceCount += record.n;
      this.batchRows.add(record.n);
      this.paddingRatio.add(record.padRatio);
      // Each request of a batch took as long as the batch.
      add(this.#computeInfer, record.actualMs * record.members, record.members);
      for (const waited of record.waitedMs) {
        add(this.#queue, waited);
        this.queueSeconds.add(waited / 1000);
      }
      let batch = this.#batches.get(record.n);
      if (batch === undefined) this.#batches.set(record.n, (batch = none()));
      add(batch, record.actualMs);
    }
    this.#lastBatch = newest;
  }

  /** The counters now. Inputs and outputs are views, so they take no time of their own. */
  snapshot(): StatisticsSnapshot {
    this.#read();
    const counted = (of: Duration): Duration => ({ count: of.count, ns: 0 });
    const { success, fail } = this;
    return {
      name: this.#model.name,
      version: this.#model.version,
      last_inference: this.lastInference,
      inference_count: this.#inferenceCount,
      execution_count: this.#executionCount,
      inference_stats: {
        success: { ...success },
        fail: { ...fail },
        queue: { ...this.#queue },
        compute_input: counted(this.#computeInfer),
        compute_infer: { ...this.#computeInfer },
        compute_output: counted(this.#computeInfer),
        cache_hit: { ...this.#cacheHit },
        cache_miss: { ...this.#cacheMiss },
      },
      response_stats: {},
      batch_stats: [...this.#batches]
        .sort(([a], [b]) => a - b)
        .map(([batch_size, batch]) => ({
          batch_size,
          compute_input: counted(batch),
          compute_infer: { ...batch },
          compute_output: counted(batch),
        })),
      memory_usage: [],
    };
  }
}

/** One entry of the statistics answer. */
export interface StatisticsSnapshot {
  readonly name: string;
  readonly version: string;
  readonly last_inference: number;
  readonly inference_count: number;
  readonly execution_count: number;
  readonly inference_stats: Readonly<
    Record<
      | "success"
      | "fail"
      | "queue"
      | "compute_input"
      | "compute_infer"
      | "compute_output"
      | "cache_hit"
      | "cache_miss",
      Duration
    >
  >;
  readonly response_stats: Readonly<Record<string, never>>;
  readonly batch_stats: readonly {
    readonly batch_size: number;
    readonly compute_input: Duration;
    readonly compute_infer: Duration;
    readonly compute_output: Duration;
  }[];
  readonly memory_usage: readonly [];
}

const statistics = new WeakMap<ServedModel, ModelStatistics>();

/** The counters of a model, from when they are first asked for. */
export function statisticsOf(model: ServedModel): ModelStatistics {
  let found = statistics.get(model);
  if (found === undefined) {
    found = new ModelStatistics(model);
    statistics.set(model, found);
  }
  return found;
}

/** Runs a model and counts the request. */
export async function runCounted(
  model: ServedModel,
  inputs: Inputs,
  options: ServedRunOptions,
): Promise<Outputs> {
  const counters = statisticsOf(model);
  const startedAt = performance.now();
  try {
    const outputs = await model.run(inputs, options);
    counters.succeeded(performance.now() - startedAt);
    return outputs;
  } catch (error) {
    if (isTenonError(error)) counters.failed(error.code, performance.now() - startedAt);
    throw error;
  }
}
