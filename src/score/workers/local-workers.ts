/** A job on worker processes of this machine: each gets one shard after the other; one that dies is replaced. */
import type { ChildProcess } from "node:child_process";
import { TenonError } from "../../base/index.js";
import { type FinishedPart, finishedPart } from "../part.js";
import type { ScorePlan } from "../plan.js";
import type { ShardProgress } from "../shard.js";
import { readFailure } from "./failure.js";
import type { FromWorker, ToWorker } from "./messages.js";

export interface LocalWorkers {
  readonly folder: string;
  readonly workers: number;
  /** Starts `tenon score worker` on the folder, with a message channel. */
  readonly start: () => ChildProcess;
  readonly signal?: AbortSignal;
  readonly onProgress?: (step: ShardProgress) => void;
  readonly onPart?: (part: FinishedPart) => void;
}

/** Failures of one shard that another try may mend. */
const TRIES = 3;
/** Workers that may die over one shard, or in a row before they are ready. */
const DEATHS = 10;

/**
 * Scores every shard whose part is missing. Throws what a shard throws that fails for good, MODEL_CRASHED when workers keep
 * dying, CANCELLED after `signal`; no worker is left then.
 */
export async function runWorkers(plan: ScorePlan, options: LocalWorkers): Promise<void> {
  const todo: number[] = [];
  for (const { i } of plan.shards) {
    const part = await finishedPart(options.folder, plan, i);
    if (part === undefined) todo.push(i);
    else options.onPart?.(part);
  }
  if (todo.length > 0) await new Crew(todo, options).run();
}

class Crew {
  readonly #todo: number[];
  readonly #options: LocalWorkers;
  readonly #running = new Map<ChildProcess, number | undefined>();
  readonly #tries = new Map<number, number>();
  readonly #deaths = new Map<number | undefined, number>();
  #failure: unknown;
  #done: () => void = () => undefined;

  constructor(todo: number[], options: LocalWorkers) {
    this.#todo = todo;
    this.#options = options;
  }

  async run(): Promise<void> {
    const { workers, signal } = this.#options;
    const stop = (): void => this.#fail(new TenonError("CANCELLED", { cause: signal?.reason }));
    if (signal?.aborted === true) stop();
    signal?.addEventListener("abort", stop, { once: true });
    try {
      await new Promise<void>((resolve) => {
        this.#done = resolve;
        const wanted = Math.min(workers, this.#todo.length);
        for (let i = 0; i < wanted && this.#failure === undefined; i++) this.#start();
        if (this.#running.size === 0) resolve();
      });
    } finally {
      signal?.removeEventListener("abort", stop);
    }
    if (this.#failure !== undefined) throw this.#failure;
  }

  #start(): void {
    const worker = this.#options.start();
    this.#running.set(worker, undefined);
    worker.on("message", (message) => this.#hear(worker, message as FromWorker)); // sent by parent-source.ts
    worker.on("error", (cause) => {
      this.#fail(new TenonError("INTERNAL", { problem: "a worker process cannot be started", cause }));
      this.#ended(worker, null);
    });
    worker.on("exit", (code, signal) => this.#ended(worker, signal ?? code));
  }

  #hear(worker: ChildProcess, message: FromWorker): void {
    if (message.type === "progress") this.#options.onProgress?.(message.step);
    else if (message.type === "ready") {
      this.#deaths.delete(undefined);
      this.#next(worker);
    } else if (message.type === "done") {
      this.#options.onPart?.(message.part);
      this.#next(worker);
    } else {
      const { shard, failure, final } = message;
      const tries = shard === undefined ? TRIES : (this.#tries.get(shard) ?? 0) + 1;
      if (final || shard === undefined || tries >= TRIES) {
        this.#fail(readFailure(failure));
        return;
      }
      this.#tries.set(shard, tries);
      this.#todo.push(shard);
      this.#next(worker);
    }
  }

  #next(worker: ChildProcess): void {
    const shard = this.#failure === undefined ? this.#todo.shift() : undefined;
    this.#running.set(worker, shard);
    const order: ToWorker = shard === undefined ? { type: "end" } : { type: "score", shard };
    if (worker.connected) worker.send(order, () => undefined); // one that died meanwhile is seen by its exit
  }

  #ended(worker: ChildProcess, how: string | number | null): void {
    if (!this.#running.has(worker)) return;
    const shard = this.#running.get(worker);
    this.#running.delete(worker);
    if (shard !== undefined) this.#todo.unshift(shard);
    if (this.#failure === undefined && this.#todo.length > 0) {
      const deaths = (this.#deaths.get(shard) ?? 0) + (how === 0 ? 0 : 1);
      this.#deaths.set(shard, deaths);
      if (deaths >= DEATHS)
        this.#fail(
          new TenonError("MODEL_CRASHED", {
            problem: `worker processes keep ending${shard === undefined ? " before they begin" : ` over shard ${shard}`}`,
            given: `${deaths} times, the last with ${how}`,
            do: "see what they print; with --isolation process a model cannot end its worker",
          }),
        );
      else this.#start();
    }
    if (this.#running.size === 0) this.#done();
  }

  /** The first failure ends the job: workers drop their shards. */
  #fail(failure: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    for (const worker of this.#running.keys()) worker.kill("SIGTERM");
    if (this.#running.size === 0) this.#done();
  }
}
