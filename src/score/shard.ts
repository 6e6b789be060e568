/** One shard scored into one part: read, run, write beside, sync, rename. */
import { join } from "node:path";
import { TenonError } from "../base/index.js";
import {
  type Batch,
  BatchMemory,
  ColumnPool,
  type Columns,
  type Dataset,
  type FieldType,
  type Schema,
  SINK_FORMATS,
  sink,
  type Table,
  tableSink,
  takeRows,
} from "../data/index.js";
import { nullableColumn, outputColumn, outputField } from "./output-column.js";
import { errorsName, type FinishedPart, finishedPart, markName, partMetadata, partName } from "./part.js";
import type { ScorePlan } from "./plan.js";
import { type BadRow, type Scored, scoreBatch } from "./rows.js";
import type { Scorer } from "./scorer.js";

export interface ShardOptions {
  readonly folder: string;
  readonly scorer: Scorer;
  readonly input: Dataset;
  /** Batches under way at once; default 4. The result does not depend on it. */
  readonly inFlight?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (progress: ShardProgress) => void;
  /** Memory that shards scored one after the other share. */
  readonly memory?: ShardMemory;
}

export interface ShardMemory {
  readonly columns: ColumnPool;
  readonly inputs: BatchMemory;
}

export function shardMemory(): ShardMemory {
  return { columns: new ColumnPool(), inputs: new BatchMemory() };
}

export interface ShardProgress {
  /** Rows read since the last report. */
  readonly rows: number;
  readonly quarantined: number;
  /** Milliseconds since the last report spent waiting for input, for the model, and for the output. */
  readonly waited: { readonly reading: number; readonly model: number; readonly writing: number };
}

/** Scores shard `shard`, unless its part is there. Throws what reading, the model or the disk throw; then no part appears. */
export async function scoreShard(
  plan: ScorePlan,
  shard: number,
  options: ShardOptions,
): Promise<FinishedPart> {
  const { folder, scorer, signal, inFlight = 4 } = options;
  const done = await finishedPart(folder, plan, shard);
  if (done !== undefined) return done;
  const planned = plan.shards[shard];
  if (planned === undefined)
    throw new TenonError("USAGE", { problem: "the plan has no such shard", given: String(shard) });
  const rows = options.input
    .where(plan.input.where)
    .splits(planned.splits)
    .select(...columnsOf(plan))
    .batch(plan.run.batch)
    .prefetch(2);
  const { schema } = await rows.inspect();
  await using part = new Part(folder, plan, shard, schema);
  const { columns: pool, inputs: memory } = options.memory ?? shardMemory();
  const iterator = rows.iterate({ memory: pool, ...(signal === undefined ? {} : { signal }) });
  const underWay: { readonly batch: Batch<Columns>; readonly scored: Promise<Scored> }[] = [];
  let last = performance.now();
  const waited = { reading: 0, model: 0, writing: 0 };
  const mark = (what: keyof typeof waited): void => {
    const now = performance.now();
    waited[what] += now - last;
    last = now;
  };
  const take = async (): Promise<void> => {
    const { batch, scored } = underWay.shift()!;
    last = performance.now();
    const result = await scored;
    mark("model");
    await part.add(batch, result);
    batch.release();
    mark("writing");
    options.onProgress?.({ rows: batch.rows, quarantined: result.bad.length, waited: { ...waited } });
    waited.reading = waited.model = waited.writing = 0;
  };
  try {
    for (;;) {
      last = performance.now();
      const next = await iterator.next();
      mark("reading");
      if (next.done === true) break;
      const batch = next.value;
      const scored = scoreBatch(scorer, plan, batch.data, batch.rows, memory);
      scored.catch(() => undefined);
      underWay.push({ batch, scored });
      if (underWay.length >= inFlight) await take();
    }
    while (underWay.length > 0) await take();
    signal?.throwIfAborted();
    return await part.commit();
  } finally {
    await iterator.return();
    await Promise.allSettled(underWay.map(({ scored }) => scored));
  }
}

/** Columns that the shard reads: the kept ones, and those that tensors are made of. */
function columnsOf(plan: ScorePlan): string[] {
  return [...new Set([...plan.input.keep, ...Object.values(plan.tensors).flatMap(({ columns }) => columns)])];
}

/** The columns of a part, also of one without rows: the kept ones, then the outputs. */
export function partFields(plan: ScorePlan, schema: Schema): Map<string, FieldType> {
  const fields = new Map<string, FieldType>();
  for (const name of plan.input.keep) fields.set(name, { ...schema.get(name)!, nullable: true });
  for (const output of plan.output.columns) fields.set(output.name, outputField(output));
  return fields;
}

/** The part and its error file under construction. */
class Part implements AsyncDisposable {
  readonly #folder: string;
  readonly #plan: ScorePlan;
  readonly #shard: number;
  readonly #sink;
  readonly #metadata: Record<string, string> = {};
  #errors: string[] = [];
  #rows = 0;

  constructor(folder: string, plan: ScorePlan, shard: number, schema: Schema) {
    this.#folder = folder;
    this.#plan = plan;
    this.#shard = shard;
    this.#sink = tableSink(plan.output.kind, join(folder, partName(plan, shard)), {
      rowGroup: plan.output.rowGroup,
      schema: partFields(plan, schema),
      metadata: this.#metadata,
    });
  }

  async add(batch: Batch<Columns>, { good, outputs, bad }: Scored): Promise<void> {
    for (const row of bad) this.#note(batch, row);
    const table: Record<string, Table[string]> = {};
    const asNull = this.#plan.run.onError === "null" && good !== null;
    const order = good === null || asNull ? null : Uint32Array.from(good);
    for (const name of this.#plan.input.keep) {
      const column = batch.data[name]!;
      table[name] = order === null ? column : takeRows(column, order);
    }
    const rows = order?.length ?? batch.rows;
    if (rows === 0) return;
    for (const output of this.#plan.output.columns) {
      const tensor = outputs?.[output.name];
      table[output.name] =
        asNull || tensor === undefined
          ? nullableColumn(output, tensor, batch.rows, good ?? [])
          : outputColumn(output, tensor);
    }
    this.#rows += rows;
    await this.#sink.write(table);
  }

  #note(batch: Batch<Columns>, { row, code, message }: BadRow): void {
    const { source, row: place } = batch.origin(row);
    const file = this.#plan.input.files[source]!.name;
    this.#errors.push(`${JSON.stringify({ file, row: place, code, message })}\n`);
  }

  async commit(): Promise<FinishedPart> {
    const [plan, shard] = [this.#plan, this.#shard];
    const quarantined = this.#errors.length;
    Object.assign(this.#metadata, partMetadata(plan, shard, this.#rows, quarantined));
    // The error file first: a part that is there has its error file.
    if (quarantined > 0) await writeText(join(this.#folder, errorsName(shard)), this.#errors);
    // The mark too, in formats that have no place for it.
    if (!SINK_FORMATS[plan.output.kind].metadata)
      await writeText(join(this.#folder, markName(shard)), [JSON.stringify(this.#metadata)]);
    const { rows, sha256 } = await this.#sink.commit();
    return { shard, name: partName(plan, shard), rows, quarantined, sha256 };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sink.abort();
  }
}

async function writeText(path: string, lines: readonly string[]): Promise<void> {
  await using out = sink.text(path);
  await out.write({ text: lines });
  await out.commit();
}
