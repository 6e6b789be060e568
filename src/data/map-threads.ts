/** Threads that apply the function of a module to batches: one batch at a time each. */
import { Worker } from "node:worker_threads";
import { type ErrorCode, TenonError } from "../base/index.js";
import { packed, unpacked } from "./travel.js";

/** What a thread is started with. */
export interface MapModule {
  readonly module: string;
  /** The export to call. */
  readonly name: string;
}

export type MapReply =
  | { readonly done: unknown }
  | { readonly failed: unknown }
  | { readonly refused: { readonly code: ErrorCode; readonly problem: string; readonly given?: string } };

interface Job {
  readonly resolve: (data: unknown) => void;
  readonly reject: (error: unknown) => void;
}

class MapThread {
  readonly #worker: Worker;
  #job: Job | undefined;
  #ended: unknown;

  constructor(start: MapModule) {
    this.#worker = new Worker(new URL("./map-thread.js", import.meta.url), { workerData: start });
    this.#worker.on("message", (reply: MapReply) => {
      const job = this.#job;
      this.#job = undefined;
      if ("done" in reply) job?.resolve(unpacked(reply.done));
      else job?.reject("refused" in reply ? refusal(reply.refused) : reply.failed);
    });
    this.#worker.on("error", (error) => this.#end(error));
    this.#worker.on("exit", () => this.#end(ended()));
    this.#worker.unref();
  }

  get free(): boolean {
    return this.#job === undefined;
  }

  run(data: unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (this.#ended !== undefined) {
        reject(this.#ended);
        return;
      }
      const { value, memory } = packed(data);
      this.#worker.postMessage(value, memory);
      this.#worker.ref();
      const settle = (then: () => void): void => {
        this.#worker.unref();
        then();
      };
      this.#job = {
        resolve: (result) => settle(() => resolve(result)),
        reject: (error) => settle(() => reject(error)),
      };
    });
  }

  #end(error: unknown): void {
    this.#ended ??= error;
    const job = this.#job;
    this.#job = undefined;
    job?.reject(this.#ended);
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }
}

function ended(): TenonError {
  return new TenonError("INTERNAL", {
    problem: "the thread of a map has ended",
    do: "look whether the module ends its thread",
  });
}

function refusal({ code, problem, given }: Extract<MapReply, { refused: unknown }>["refused"]): TenonError {
  return new TenonError(code, { problem, ...(given === undefined ? {} : { given }) });
}

/** As many threads as batches are under way; started when the first batches come. */
export class MapThreads implements AsyncDisposable {
  readonly #start: MapModule;
  readonly #most: number;
  readonly #threads: MapThread[] = [];

  constructor(start: MapModule, most: number) {
    this.#start = start;
    this.#most = most;
  }

  /** The function's result. Throws what it throws; at most as many calls as threads may be under way. */
  run(data: unknown): Promise<unknown> {
    let thread = this.#threads.find(({ free }) => free);
    if (thread === undefined && this.#threads.length < this.#most) {
      thread = new MapThread(this.#start);
      this.#threads.push(thread);
    }
    if (thread !== undefined) return thread.run(data);
    return Promise.reject(new TenonError("INTERNAL", { problem: "more batches are under way than threads" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#threads.splice(0).map((thread) => thread.close()));
  }
}
