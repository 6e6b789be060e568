/** PipelineIterator: batches on their way through maps and read-ahead to the consumer, with what each waited for. */
import { TenonError } from "../base/index.js";
import { batchesOf, type Origin, type RawBatch } from "./batches.js";
import type { ColumnPool } from "./column-pool.js";
import { MapThreads } from "./map-threads.js";
import { checkPlan, type OpenedPlan } from "./open.js";
import type { Plan, Stage } from "./plan.js";
import type { Position } from "./position.js";

export interface Batch<T> {
  /** Rows of data; with `last: "pad"` the tensors of the last batch have more, which are zero. */
  readonly rows: number;
  readonly data: T;
  /** Where a stream goes on after this batch: `iterate({ from: batch.next })`. */
  readonly next: Position;
  /** Where row `row` of the batch lies: its file, and its place in it from 0 on. */
  origin(row: number): Origin;
  /** Gives the memory to later batches; the data must not be read afterwards. */
  release(): void;
  [Symbol.dispose](): void;
}

export interface PipelineStats {
  readonly rows: number;
  readonly batches: number;
  /** Milliseconds that the consumer waited for data. */
  readonly starvedMs: number;
  /** Milliseconds that finished batches waited for the consumer. */
  readonly blockedMs: number;
}

export interface IterateOptions {
  readonly from?: Position;
  readonly signal?: AbortSignal;
  /** Memory that an iteration before this one has used; for many short ones over one table. */
  readonly memory?: ColumnPool;
}

export class PipelineIterator<T> implements AsyncIterableIterator<Batch<T>>, AsyncDisposable {
  readonly #plan: Plan;
  readonly #open: () => Promise<OpenedPlan>;
  readonly #options: IterateOptions;
  readonly #abort = new AbortController();
  #source: AsyncGenerator<RawBatch, void> | undefined;
  #opened: OpenedPlan | undefined;
  /** Batches under way or ready, oldest first. */
  readonly #ahead: Promise<IteratorResult<RawBatch, void>>[] = [];
  #ended = false;
  #rows = 0;
  #batches = 0;
  #starvedMs = 0;
  #blockedMs = 0;
  #deliveredAt: number | undefined;

  constructor(plan: Plan, open: () => Promise<OpenedPlan>, options: IterateOptions) {
    this.#plan = plan;
    this.#open = open;
    this.#options = options;
    const { signal } = options;
    if (signal?.aborted === true) this.#abort.abort(signal.reason);
    signal?.addEventListener("abort", () => this.#abort.abort(signal.reason), { signal: this.#abort.signal });
  }

  async next(): Promise<IteratorResult<Batch<T>, void>> {
    if (this.#ended) return { done: true, value: undefined };
    const asked = performance.now();
    if (this.#deliveredAt !== undefined && this.#ahead.length > 0)
      this.#blockedMs += asked - this.#deliveredAt;
    try {
      this.#abort.signal.throwIfAborted();
      this.#source ??= await this.#start();
      this.#fill();
      const result = await this.#ahead.shift()!;
      this.#abort.signal.throwIfAborted();
      if (result.done === true) {
        await this.return();
        return { done: true, value: undefined };
      }
      this.#fill();
      this.#rows += result.value.rows;
      this.#batches++;
      const now = performance.now();
      this.#starvedMs += now - asked;
      this.#deliveredAt = now;
      return { done: false, value: asBatch<T>(result.value) };
    } catch (error) {
      await this.return();
      throw this.#options.signal?.aborted === true
        ? new TenonError("CANCELLED", {
            problem: "the reading was cancelled",
            cause: this.#options.signal.reason,
          })
        : error;
    }
  }

  async #start(): Promise<AsyncGenerator<RawBatch, void>> {
    this.#opened = await this.#open();
    checkPlan(this.#plan, this.#opened.scan);
    let source = batchesOf(
      this.#plan,
      this.#opened.hash,
      this.#opened.scan,
      this.#options.from,
      this.#abort.signal,
      this.#options.memory,
    );
    for (const stage of this.#plan.stages) source = mapped(source, stage, this.#abort.signal);
    return source;
  }

  /** Keeps as many batches under way as the plan's prefetch says. */
  #fill(): void {
    while (this.#ahead.length < Math.max(1, this.#plan.prefetch)) {
      const coming = this.#source!.next();
      coming.catch(() => undefined);
      this.#ahead.push(coming);
    }
  }

  async return(): Promise<IteratorResult<Batch<T>, void>> {
    if (!this.#ended) {
      this.#ended = true;
      this.#abort.abort();
      await Promise.allSettled(this.#ahead.splice(0));
      await this.#source?.return();
      await this.#opened?.release();
    }
    return { done: true, value: undefined };
  }

  stats(): PipelineStats {
    return {
      rows: this.#rows,
      batches: this.#batches,
      starvedMs: this.#starvedMs,
      blockedMs: this.#blockedMs,
    };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }
}

function asBatch<T>(raw: RawBatch): Batch<T> {
  return {
    rows: raw.rows,
    next: raw.next,
    get data() {
      // The plan's specs and stages made it, and they give T.
      return raw.data as T;
    },
    origin: (row) => raw.origin(row),
    release: () => raw.release(),
    [Symbol.dispose]: () => raw.release(),
  };
}

/** Applies a stage to whole batches, in order, with `concurrency` of them under way. */
async function* mapped(
  source: AsyncGenerator<RawBatch, void>,
  { run, concurrency, worker }: Stage,
  signal: AbortSignal,
): AsyncGenerator<RawBatch, void> {
  await using threads = worker === null ? null : new MapThreads(worker, concurrency);
  const underWay: Promise<RawBatch>[] = [];
  try {
    for await (const batch of source) {
      const job = Promise.resolve(threads === null ? run(batch.data, signal) : threads.run(batch.data)).then(
        (data) => replaced(batch, data),
      );
      job.catch(() => undefined);
      underWay.push(job);
      if (underWay.length >= concurrency) yield await underWay.shift()!;
    }
    while (underWay.length > 0) yield await underWay.shift()!;
  } finally {
    await Promise.allSettled(underWay);
  }
}

function replaced(batch: RawBatch, data: unknown): RawBatch {
  return {
    rows: batch.rows,
    next: batch.next,
    origin: (row) => batch.origin(row),
    data,
    release: () => batch.release(),
  };
}
