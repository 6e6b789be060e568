/** Shards from a queue of BullMQ, on Redis or PostgreSQL: one job per shard, one queue per plan. */
import { createRequire } from "node:module";
import type { Job, Queue, Worker } from "bullmq";
import { TenonError } from "../../base/index.js";
import type { ScorePlan } from "../plan.js";
import { isFinal, readFailure, writeFailure } from "./failure.js";
import { withoutSecrets } from "./queue-url.js";
import type { ShardSource, ShardWork } from "./shard-source.js";

export interface QueueOptions {
  /** Milliseconds after which the shard of a worker that went silent is given to another. Default 60,000. */
  readonly lockMs?: number;
}

export interface ShardQueue extends ShardSource {
  /** Puts shards into the queue that are not in it; those that failed before get another chance. */
  add(shards: readonly number[]): Promise<void>;
}

/** Longest wait for the first answer of a server. */
const CONNECT_MS = 15_000;
/** Longest wait for one answer later on: a server may be started again meanwhile. */
const ANSWER_MS = 10_000;
const CLOSE_MS = 5_000;
/** How often a worker looks whether anything is left. */
const LOOK_MS = 1_000;
const TRIES = 5;
/** A shard may lose its worker this often: the commit makes another run harmless. */
const MOST_STALLS = 1_000;

const OF_SCHEME = {
  redis: "ioredis",
  rediss: "ioredis",
  postgres: "pg",
  postgresql: "pg",
} as const;

type Modules = typeof import("bullmq");
type Processor = (job: Job, token?: string) => Promise<unknown>;
type Start = (process: Processor) => Worker;

interface Makers {
  readonly Queue: new (name: string, options: object, backend: unknown) => Queue;
  readonly Worker: new (name: string, process: Processor, options: object, backend: unknown) => Worker;
}

/** Connects to the queue of the plan. Throws USAGE for other URLs, DEPENDENCY_MISSING, SERVER_FAILED. */
export async function openQueue(
  url: string,
  plan: ScorePlan,
  options: QueueOptions = {},
): Promise<ShardQueue> {
  const scheme = /^([a-z]+):\/\//.exec(url)?.[1] ?? "";
  if (!Object.hasOwn(OF_SCHEME, scheme))
    throw new TenonError("USAGE", {
      problem: "the queue's URL cannot be read",
      given: withoutSecrets(url),
      expected: "redis://HOST:PORT, rediss://…, postgres://USER@HOST:PORT/DATABASE",
    });
  const client = OF_SCHEME[scheme as keyof typeof OF_SCHEME];
  const modules = await modulesFor(client);
  // The overloads tie the type of a queue to that of its server; both are only known here.
  const make = modules as unknown as Makers;
  const backend = client === "pg" ? modules.createPostgresBackend : undefined;
  const name = `tenon-score-${plan.hash.slice(0, 16)}`;
  const connection =
    client === "pg"
      ? { connectionString: url, migrate: true, max: 4, application_name: "tenon score" }
      : {
          url,
          maxRetriesPerRequest: null,
          retryStrategy: (tries: number) => Math.min(50 * 2 ** tries, 2_000),
        };
  const queue = new make.Queue(name, { connection }, backend);
  const opened = new OpenQueue(modules, queue, plan, () => {
    const lock = options.lockMs ?? 60_000;
    const settings = {
      connection,
      autorun: false,
      concurrency: 1,
      lockDuration: lock,
      stalledInterval: Math.max(500, Math.floor(lock / 2)),
      maxStalledCount: MOST_STALLS,
    };
    return (process: Processor) => new make.Worker(name, process, settings, backend);
  });
  try {
    await opened.ready(withoutSecrets(url));
  } catch (error) {
    await opened[Symbol.asyncDispose]();
    throw error;
  }
  return opened;
}

async function modulesFor(client: "ioredis" | "pg"): Promise<Modules> {
  try {
    // BullMQ loads it by itself, when it is needed first.
    createRequire(import.meta.url).resolve(client);
    return await import("bullmq");
  } catch (cause) {
    throw new TenonError("DEPENDENCY_MISSING", {
      problem: `a queue of this kind needs the packages bullmq and ${client}`,
      do: `npm install bullmq ${client}`,
      cause,
    });
  }
}

class OpenQueue implements ShardQueue {
  readonly #modules: Modules;
  readonly #queue: Queue;
  readonly #plan: ScorePlan;
  readonly #start: () => Start;
  #lastError: unknown;

  constructor(modules: Modules, queue: Queue, plan: ScorePlan, start: () => Start) {
    this.#modules = modules;
    this.#queue = queue;
    this.#plan = plan;
    this.#start = start;
    // A server that goes away is waited for; what it said is told when it never answers.
    queue.on("error", (error) => {
      this.#lastError = error;
    });
  }

  async ready(url: string): Promise<void> {
    try {
      await within(CONNECT_MS, this.#queue.waitUntilReady());
    } catch (cause) {
      throw new TenonError("SERVER_FAILED", {
        problem: "the queue's server does not answer",
        given: url,
        do: "check that it runs and that the URL is right",
        cause: this.#lastError ?? cause,
      });
    }
  }

  #id(shard: number): string {
    return `${this.#plan.hash.slice(0, 16)}-${shard}`;
  }

  async add(shards: readonly number[]): Promise<void> {
    const wanted = new Set(shards.map((shard) => this.#id(shard)));
    for (const job of await this.#queue.getFailed()) if (wanted.has(job.id ?? "")) await job.remove();
    for (let from = 0; from < shards.length; from += 1000)
      await this.#queue.addBulk(
        shards.slice(from, from + 1000).map((shard) => ({
          name: "shard",
          data: { shard },
          opts: {
            jobId: this.#id(shard),
            attempts: TRIES,
            backoff: { type: "exponential", delay: 1000 },
            removeOnComplete: true,
          },
        })),
      );
  }

  async run({ score, missing, signal }: ShardWork): Promise<void> {
    let busy = 0;
    let wake: () => void = () => undefined;
    const worker = this.#start()(async (job, token) => {
      busy++;
      try {
        const { rows, quarantined } = await score(shardOf(job));
        return { rows, quarantined };
      } catch (error) {
        if (signal.aborted) {
          await job.moveToWait(token);
          throw new this.#modules.WaitingError();
        }
        const text = writeFailure(error);
        throw isFinal(error) ? new this.#modules.UnrecoverableError(text) : new Error(text);
      } finally {
        busy--;
        wake();
      }
    });
    worker.on("error", (error) => {
      this.#lastError = error;
    });
    const running = worker.run().catch((error: unknown) => {
      this.#lastError = error;
    });
    const aborted = (): void => wake();
    signal.addEventListener("abort", aborted, { once: true });
    try {
      while (!signal.aborted) {
        const left = await missing();
        if (left.length === 0) break;
        if (busy === 0) await this.#tend(left);
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, LOOK_MS);
          wake = () => {
            clearTimeout(timer);
            resolve();
          };
          if (signal.aborted) wake();
        });
      }
    } finally {
      signal.removeEventListener("abort", aborted);
      await closed(worker);
      await within(CLOSE_MS, running).catch(() => undefined);
    }
  }

  /** Throws the failure of a missing shard; puts the missing ones into a queue that has lost them. */
  async #tend(left: readonly number[]): Promise<void> {
    try {
      const wanted = new Set(left.map((shard) => this.#id(shard)));
      const counts = await within(
        ANSWER_MS,
        this.#queue.getJobCounts("waiting", "active", "delayed", "prioritized", "failed"),
      );
      if ((counts.failed ?? 0) > 0) {
        const jobs = await within(ANSWER_MS, this.#queue.getFailed());
        const job = jobs.find(({ id }) => wanted.has(id ?? ""));
        if (job !== undefined) throw new FinalFailure(readFailure(job.failedReason));
      }
      const { failed: _, ...open } = counts;
      if (Object.values(open).every((count) => count === 0)) await within(ANSWER_MS, this.add(left));
    } catch (error) {
      if (error instanceof FinalFailure) throw error.cause;
      this.#lastError = error; // the server is away; it is asked again
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await closed(this.#queue);
  }
}

/** What ends the work, told apart from a server that does not answer. */
class FinalFailure extends Error {
  constructor(cause: TenonError) {
    super(cause.message, { cause });
  }
}

function shardOf(job: Job): number {
  const { shard } = job.data as { readonly shard?: unknown };
  if (typeof shard === "number" && Number.isInteger(shard)) return shard;
  throw new TenonError("USAGE", {
    problem: "a job of the queue names no shard",
    given: JSON.stringify(job.data).slice(0, 200),
  });
}

/** Closes in good order where the server answers, else by cutting the connection. */
async function closed(end: Queue | Worker): Promise<void> {
  await within(CLOSE_MS, end.close()).catch(() => end.disconnect().catch(() => undefined));
}

async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
