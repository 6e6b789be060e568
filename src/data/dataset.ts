/** Dataset: a table as batches; each method gives a new dataset, nothing is read before it is iterated. */
import { TenonError } from "../base/index.js";
import { writeCache } from "./cached.js";
import type { Columns, Schema } from "./column.js";
import { type Batch, type IterateOptions, PipelineIterator } from "./iterator.js";
import { checkPlan, openPlan } from "./open.js";
import { parquetSource } from "./parquet/scan.js";
import { emptyPlan, type LastBatch, type Plan, type SplitRange } from "./plan.js";
import type { SourceFile } from "./scan.js";
import type { TensorSpecs, TensorsOf } from "./tensors.js";
import { checkConditions, type Where } from "./where.js";
import { wholeNumber } from "./whole-number.js";
import { windowsOf } from "./window.js";

/** What a source tells of itself. */
export interface Inspection {
  readonly engine: string;
  readonly schema: Schema;
  readonly files: readonly SourceFile[];
  /** Runs of rows that can be read by themselves, in order; null for a stream. */
  readonly splits: readonly (SplitRange & { readonly bytes: number })[] | null;
}

export interface MapOptions {
  /** Batches under way at once, given on in their order. Default 1. */
  readonly concurrency?: number;
  /**
   * Runs the function in threads, `concurrency` of them, each of which loads this module and calls its export of the
   * function's name. Batches are copied there and back; nothing else of this program is seen there.
   */
  readonly worker?: URL;
}

/**
 * Rows of a source, in file order unless shuffled: the same files, seed and epoch give the same rows in the same order
 * at any prefetch depth. Filters, hash splits, shards and the shuffle apply to rows before `skip` and `take`, wherever
 * they stand in the chain; maps apply to batches in the order of the chain.
 *
 * ```ts
 * for await (const { data } of parquet("in/*.parquet").tensors({ x: pack(["a", "b"]) }).batch(256)) await model.run(data);
 * ```
 */
export class Dataset<T = Columns> implements AsyncIterable<Batch<T>> {
  readonly #plan: Plan;

  constructor(plan: Plan) {
    this.#plan = plan;
  }

  #with<U = T>(change: Partial<Plan>): Dataset<U> {
    return new Dataset<U>({ ...this.#plan, ...change });
  }

  /** Keeps the rows that fulfil every condition; calls add up. Row groups are left out where their statistics allow. */
  where(conditions: Where): Dataset<T> {
    checkConditions(conditions);
    const where = new Map(Object.entries(this.#plan.where));
    for (const [name, condition] of Object.entries(conditions)) {
      const before = where.get(name) ?? {};
      const twice = Object.keys(condition).find((key) => key in before);
      if (twice !== undefined)
        throw new TenonError("USAGE", { problem: `column "${name}" has two conditions "${twice}"` });
      where.set(name, { ...before, ...condition });
    }
    return this.#with({ where: Object.fromEntries(where) });
  }

  /** The columns that batches hold where no `tensors` follow. */
  select(...columns: readonly string[]): Dataset<T> {
    return this.#with({ select: columns });
  }

  /** Batches hold these tensors, made by `pack`, `col`, `matrix` and `strings`; only their columns are read. */
  tensors<S extends TensorSpecs>(specs: S): Dataset<TensorsOf<S>> {
    if (this.#plan.stages.length > 0)
      throw new TenonError("USAGE", { problem: "tensors must come before map" });
    return this.#with({ tensors: specs });
  }

  /**
   * Mixes rows: windows of about `window` rows (whole row groups; default 500,000) come in a random order, and the rows
   * of each are mixed. Depends on seed, epoch and files alone.
   */
  shuffle(options: { readonly seed: number; readonly window?: number }): Dataset<T> {
    const seed = wholeNumber("the seed of a shuffle", options.seed, 0);
    return this.#with({
      shuffle: { seed, window: wholeNumber("the window of a shuffle", options.window ?? 500_000, 1) },
    });
  }

  /** Rows per batch; default 4096. `last`: what happens to an incomplete one at the end: kept, dropped, or zero-filled. */
  batch(rows: number, options: { readonly last?: LastBatch } = {}): Dataset<T> {
    return this.#with({ batch: wholeNumber("rows per batch", rows, 1), last: options.last ?? "keep" });
  }

  /**
   * Puts rows of about one length into a batch: of at most `budget` elements, its rows times the longest of them, and at most
   * the rows of `batch`. `of` is a list column (its elements count), a text column (its bytes), or numbers that are lengths.
   * Rows are sorted within their window; batches end with it. Without a shuffle the short ones come first.
   *
   * ```ts
   * data.shuffle({ seed: 1 }).bucketByLength("ids", 16_384).tensors({ ids: padded("ids", "int64"), n: lengths("ids") });
   * ```
   */
  bucketByLength(of: string, budget: number): Dataset<T> {
    return this.#with({ buckets: { of, budget: wholeNumber("elements per batch", budget, 1) } });
  }

  /**
   * Applies `change` to the data of whole batches, which are given on in order.
   *
   * ```ts
   * data.map(tokenize, { concurrency: 2, worker: new URL("./tokenize.js", import.meta.url) });
   * ```
   */
  map<U>(change: (data: T, signal: AbortSignal) => U | Promise<U>, options: MapOptions = {}): Dataset<U> {
    const concurrency = wholeNumber("concurrency", options.concurrency ?? 1, 1);
    const run = change as (batch: unknown, signal: AbortSignal) => unknown; // batches of this dataset are T
    const { worker } = options;
    const module = worker === undefined ? null : { module: worker.href, name: change.name };
    return this.#with({ stages: [...this.#plan.stages, { run, concurrency, worker: module }] });
  }

  /** Batches made ahead of the consumer; default 1. */
  prefetch(batches: number): Dataset<T> {
    return this.#with({ prefetch: wholeNumber("prefetch", batches, 1) });
  }

  /** The part `index` of `of`: every `of`-th window of the order. */
  shard(index: number, of: number): Dataset<T> {
    wholeNumber("shards", of, 1);
    if (wholeNumber("the shard", index, 0) >= of) {
      throw new TenonError("USAGE", {
        problem: "the shard",
        given: `${index} of ${of}`,
        expected: `0 to ${of - 1}`,
      });
    }
    if (this.#plan.shard !== null) throw new TenonError("USAGE", { problem: "a dataset is sharded twice" });
    return this.#with({ shard: [index, of] });
  }

  /** Parts by a hash of column `by`, in proportion to the given weights: rows of one value stay together. */
  split<N extends string>(parts: Readonly<Record<N, number>>, by: string): Record<N, Dataset<T>> {
    const names = Object.keys(parts) as N[];
    const total = names.reduce((sum, name) => sum + parts[name], 0);
    if (!(total > 0) || names.some((name) => !(parts[name] >= 0)) || total === Number.POSITIVE_INFINITY)
      throw new TenonError("USAGE", {
        problem: "the parts of a split",
        given: JSON.stringify(parts),
        expected: "finite weights of 0 and more, one above 0",
      });
    const result = {} as Record<N, Dataset<T>>;
    let sum = 0;
    for (const name of names) {
      const from = sum / total;
      sum += parts[name];
      result[name] = this.#with({ ranges: [...this.#plan.ranges, { by, from, to: sum / total }] });
    }
    return result;
  }

  /** The first `rows` rows. */
  take(rows: number): Dataset<T> {
    return this.#with({ take: Math.min(this.#plan.take, wholeNumber("take", rows, 0)) });
  }

  /** Leaves out the first `rows` rows. */
  skip(rows: number): Dataset<T> {
    if (this.#plan.take !== Number.POSITIVE_INFINITY)
      throw new TenonError("USAGE", { problem: "skip must come before take" });
    return this.#with({ skip: this.#plan.skip + wholeNumber("skip", rows, 0) });
  }

  /** The epoch that the shuffle's order belongs to; default 0. */
  epoch(epoch: number): Dataset<T> {
    return this.#with({ epoch: wholeNumber("the epoch", epoch, 0) });
  }

  /** This many epochs, one after the other, each in its own order. */
  repeat(epochs: number): Dataset<T> {
    return this.#with({ repeat: wholeNumber("repeat", epochs, 1) });
  }

  /**
   * The rows as a Parquet file at `path`, and a dataset over it: text is parsed once. The file is written anew when a source
   * file or the plan changed. Throws USAGE after `tensors` or `map`, for streams, and where `path` is a source file.
   */
  async cache(path: string): Promise<Dataset> {
    if (this.#plan.tensors !== null || this.#plan.stages.length > 0)
      throw new TenonError("USAGE", { problem: "cache must come before tensors and map" });
    // Without tensors and maps batches are columns; every row is kept, whatever the size of batches.
    await writeCache(this.#plan, path, this.#with({ last: "keep" }) as unknown as Dataset);
    return new Dataset(emptyPlan(parquetSource([path], { hive: false })));
  }

  /** Only these splits of `inspect()`, in this order. */
  splits(ranges: readonly SplitRange[]): Dataset<T> {
    return this.#with({ only: ranges });
  }

  /** Columns, files and splits, from the files' own headers; checks that the dataset's columns are there. */
  async inspect(): Promise<Inspection> {
    const opened = await openPlan(this.#plan);
    try {
      const { schema, files, splits, engine } = opened.scan;
      checkPlan(this.#plan, opened.scan);
      const ranges =
        splits?.map(({ source, row, rows, bytes }) => ({ file: source, row, rows, bytes })) ?? null;
      return { engine, schema, files, splits: ranges };
    } finally {
      await opened.release();
    }
  }

  /** Batches from the start, or from where a batch's `next` says. */
  iterate(options: IterateOptions = {}): PipelineIterator<T> {
    return new PipelineIterator<T>(this.#plan, () => openPlan(this.#plan), options);
  }

  [Symbol.asyncIterator](): PipelineIterator<T> {
    return this.iterate();
  }

  /** Engine, files, windows, filter and expected memory, as text; of a lazy frame also how its rows are got. */
  async explain(): Promise<string> {
    const opened = await openPlan(this.#plan);
    try {
      checkPlan(this.#plan, opened.scan);
      return explanation(this.#plan, opened.scan);
    } finally {
      await opened.release();
    }
  }
}

function explanation(plan: Plan, scan: Awaited<ReturnType<typeof openPlan>>["scan"]): string {
  const lines = [`engine    ${scan.engine}`, `files     ${scan.files.length}`];
  if (scan.how !== undefined) lines.push(`rows by   ${scan.how}`);
  if (scan.splits === null) lines.push("windows   none: a stream, read once from its start");
  else {
    const windows = windowsOf(scan.splits, plan);
    const rows = scan.splits.reduce((sum, split) => sum + split.rows, 0);
    const largest = windows.reduce(
      (most, { splits }) =>
        Math.max(
          most,
          splits.reduce((sum, { bytes }) => sum + bytes, 0),
        ),
      0,
    );
    lines.push(
      `rows      ${rows} in ${scan.splits.length} row groups`,
      `windows   ${windows.length}, the largest of ${windows.reduce((most, w) => Math.max(most, w.rows), 0)} rows`,
      `memory    about ${Math.ceil((3 * largest) / 2 ** 20)} MiB: two windows and the bytes of one, all columns counted`,
    );
  }
  if (Object.keys(plan.where).length > 0) lines.push(`filter    ${JSON.stringify(plan.where)}`);
  if (plan.shuffle !== null)
    lines.push(`shuffle   seed ${plan.shuffle.seed}, windows of ${plan.shuffle.window} rows`);
  lines.push(`batch     ${plan.batch} rows, prefetch ${plan.prefetch}`);
  return lines.join("\n");
}
