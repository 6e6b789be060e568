/** Shards from a queue of BullMQ, on Redis or PostgreSQL: one job per shard, one queue per plan. */
import type { EventEmitter } from "node:events";
import { createRequire } from "node:module";
import type { Job, Queue, Worker } from "bullmq";
import { TenonError } from "../../base/index.js";
import type { ScorePlan } from "../plan.js";
import { isFinal, readFailure, writeFailure } from "./failure.js";
import { pause, retried, within } from "./patience.js";
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

/** Longest wait for the first answer of a server, which may be starting. */
const CONNECT_MS = 30_000;
/** Longest wait until shards are in the queue: they may be put into it again, so that a server may go away meanwhile. */
const FILL_MS = 120_000;
/** Longest wait for one answer later on: a server may be started again meanwhile. */
const ANSWER_MS = 10_000;
const CLOSE_MS = 5_000;
/** Wait before BullMQ asks again that was refused while it asked for a job. */
const ASK_AGAIN_MS = 1_000;
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
  const connection = client === "pg" ? postgres(url) : redis(url);
  const lock = options.lockMs ?? 60_000;
  const settings = {
    connection,
    autorun: false,
    concurrency: 1,
    lockDuration: lock,
    stalledInterval: Math.max(500, Math.floor(lock / 2)),
    maxStalledCount: MOST_STALLS,
    runRetryDelay: ASK_AGAIN_MS,
  };
  const start: Start = (process) => new make.Worker(name, process, settings, backend);
  try {
    const queue = await retried(CONNECT_MS, () => ready(new make.Queue(name, { connection }, backend)), {
      unless: refused,
    });
    return new OpenQueue(modules, queue, plan, start);
  } catch (cause) {
    throw unanswered(withoutSecrets(url), cause);
  }
}

function redis(url: string): object {
  return {
    url,
    maxRetriesPerRequest: null,
    retryStrategy: (tries: number) => Math.min(50 * 2 ** tries, 2_000),
  };
}

function postgres(url: string): object {
  const { Client } = createRequire(import.meta.url)("pg") as { readonly Client: PostgresClient };
  return {
    connectionString: url,
    migrate: true,
    max: 4,
    application_name: "tenon score",
    // A server that goes away fails the question that is open; where nobody listens for the loss itself, it ends the process.
    Client: class extends Client {
      constructor(settings: unknown) {
        super(settings);
        this.on("error", () => undefined);
      }
    },
  };
}

type PostgresClient = new (settings: unknown) => EventEmitter;

/** A queue or worker that the server has answered. One whose first question fails never asks again: it is closed. */
async function ready<T extends Queue | Worker>(end: T): Promise<T> {
  // What is said beside the answers is told when no answer comes.
  let said: unknown;
  const listen = (error: Error): void => {
    said = error;
  };
  (end as EventEmitter).on("error", listen);
  try {
    await within(CONNECT_MS, end.waitUntilReady());
    return end;
  } catch (error) {
    await closed(end);
    throw said ?? error;
  }
}

/** Whether a server has answered that it wants nothing of this client: no later try would be heard. */
function refused(error: unknown): boolean {
  const code = String((error as { code?: unknown } | null)?.code ?? "");
  const message = error instanceof Error ? error.message : "";
  // Of PostgreSQL: no such user, password or database, no right. Of Redis: the password.
  return /^(28...|3D000|42501)$/.test(code) || /^(NOAUTH|WRONGPASS|NOPERM)/.test(message);
}

function unanswered(url: string, cause: unknown): TenonError {
  return new TenonError("SERVER_FAILED", {
    problem: "the queue's server does not answer",
    given: url,
    do: "check that it runs and that the URL is right",
    cause,
  });
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
  readonly #start: Start;

  constructor(modules: Modules, queue: Queue, plan: ScorePlan, start: Start) {
    this.#modules = modules;
    this.#queue = queue;
    this.#plan = plan;
    this.#start = start;
  }

  #id(shard: number): string {
    return `${this.#plan.hash.slice(0, 16)}-${shard}`;
  }

  async add(shards: readonly number[]): Promise<void> {
    try {
      await retried(FILL_MS, () => this.#fill(shards));
    } catch (cause) {
      throw unanswered(`queue ${this.#queue.name}`, cause);
    }
  }

  async #fill(shards: readonly number[]): Promise<void> {
    const wanted = new Set(shards.map((shard) => this.#id(shard)));
    for (const job of await within(ANSWER_MS, this.#queue.getFailed()))
      if (wanted.has(job.id ?? "")) await within(ANSWER_MS, job.remove());
    for (let from = 0; from < shards.length; from += 1000) {
      const jobs = shards.slice(from, from + 1000).map((shard) => ({
        name: "shard",
        data: { shard },
        opts: {
          jobId: this.#id(shard),
          attempts: TRIES,
          backoff: { type: "exponential", delay: 1000 },
          removeOnComplete: true,
        },
      }));
      await within(ANSWER_MS, this.#queue.addBulk(jobs));
    }
  }

  async run({ score, missing, signal }: ShardWork): Promise<void> {
    let busy = 0;
    let wake: () => void = () => undefined;
    const ending = new AbortController();
    const crew = this.#work(ending.signal, async (job, token) => {
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
    try {
      while (!signal.aborted) {
        const left = await missing();
        if (left.length === 0) break;
        if (busy === 0) await this.#tend(left);
        const look = new AbortController();
        wake = () => look.abort();
        await pause(LOOK_MS, AbortSignal.any([signal, look.signal]));
      }
    } finally {
      ending.abort();
      await crew;
    }
  }

  /** Takes jobs until `signal`. A worker that could not begin, or has ended, is replaced by another. */
  async #work(signal: AbortSignal, process: Processor): Promise<void> {
    while (!signal.aborted) {
      try {
        const worker = await ready(this.#start(process));
        const running = worker.run();
        const ended = new Promise<void>((resolve) => {
          signal.addEventListener("abort", () => resolve(), { once: true });
          if (signal.aborted) resolve();
        });
        try {
          await Promise.race([running, ended]);
        } finally {
          await closed(worker);
          await within(CLOSE_MS, running).catch(() => undefined);
        }
      } catch {
        // The server is away; it is asked again.
      }
      await pause(ASK_AGAIN_MS, signal);
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
      if (Object.values(open).every((count) => count === 0)) await this.#fill(left);
    } catch (error) {
      if (error instanceof FinalFailure) throw error.cause;
      // The server is away; it is asked again.
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
  await within(CLOSE_MS, end.close()).catch(() => within(CLOSE_MS, end.disconnect()).catch(() => undefined));
}
