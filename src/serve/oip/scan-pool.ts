/** ScanPool: reads infer requests; small ones at once, large ones in a thread that is started when first needed. */
import { availableParallelism } from "node:os";
import { Worker } from "node:worker_threads";
import { ERROR_CODES, type ErrorCode, TenonError } from "../../base/index.js";
import { type InferRequest, parseInferRequest, type RequestLimits } from "./request.js";
import type { ScanJob, ScanResult } from "./scan-worker.js";

/** JSON up to this many bytes is read on the event loop: well under a millisecond. */
const INLINE_BYTES = 64 * 1024;

interface Pending {
  readonly resolve: (request: InferRequest) => void;
  readonly reject: (error: TenonError) => void;
}

interface Thread {
  readonly worker: Worker;
  readonly pending: Map<number, Pending>;
}

/** One for each handler; `close` ends its threads. */
export class ScanPool {
  readonly #threads: Thread[] = [];
  readonly #size = Math.max(1, Math.min(2, availableParallelism() - 1));
  readonly #limits: RequestLimits;
  #jobs = 0;
  #closed = false;

  constructor({ jsonDepth, tensorElements, tensorRank, stringBytes }: RequestLimits) {
    this.#limits = { jsonDepth, tensorElements, tensorRank, stringBytes };
  }

  /**
   * Reads the JSON `body[0, end)`. When there is nothing behind it, the body's memory may move to the thread, unless
   * `kept`: do not touch it afterwards. Throws as `parseInferRequest` does.
   */
  read(body: Buffer, end: number, kept = false): InferRequest | Promise<InferRequest> {
    if (end <= INLINE_BYTES) return parseInferRequest(body, 0, end, this.#limits);
    // A buffer that begins and ends with this body has no other user; slabs of the socket begin with the headers.
    const own =
      !kept &&
      end === body.length &&
      body.byteOffset < 64 &&
      body.byteOffset + end === body.buffer.byteLength;
    const bytes = own ? body : Buffer.from(body.subarray(0, end));
    return this.#send({ bytes, start: 0, end, limits: this.#limits, number: ++this.#jobs });
  }

  #send(job: ScanJob): Promise<InferRequest> {
    if (this.#closed) return Promise.reject(new TenonError("SERVER_DRAINING"));
    const thread = this.#thread();
    return new Promise((resolve, reject) => {
      thread.pending.set(job.number, { resolve, reject });
      thread.worker.postMessage(job, [job.bytes.buffer as ArrayBuffer]); // the pool's own, as read() saw to
    });
  }

  /** The thread with the least to do; a new one while all are busy and there may be more. */
  #thread(): Thread {
    const idle = this.#threads.toSorted((a, b) => a.pending.size - b.pending.size)[0];
    if (idle !== undefined && (idle.pending.size === 0 || this.#threads.length >= this.#size)) return idle;
    const thread: Thread = {
      worker: new Worker(new URL("./scan-worker.js", import.meta.url), { execArgv: [], env: {} }),
      pending: new Map(),
    };
    thread.worker.unref();
    thread.worker.on("message", (result: ScanResult) => settle(thread, result));
    thread.worker.on("error", (cause) => this.#lost(thread, cause));
    thread.worker.on("exit", () => this.#lost(thread, undefined));
    this.#threads.push(thread);
    return thread;
  }

  #lost(thread: Thread, cause: unknown): void {
    const index = this.#threads.indexOf(thread);
    if (index >= 0) this.#threads.splice(index, 1);
    const error = this.#closed
      ? new TenonError("SERVER_DRAINING")
      : new TenonError("INTERNAL", { problem: "the thread that reads JSON ended", cause });
    for (const { reject } of thread.pending.values()) reject(error);
    thread.pending.clear();
  }

  /** Ends the threads; what they still have to read is refused with SERVER_DRAINING. */
  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#threads.map(({ worker }) => worker.terminate()));
  }
}

function settle(thread: Thread, result: ScanResult): void {
  const pending = thread.pending.get(result.number);
  thread.pending.delete(result.number);
  if ("request" in result) pending?.resolve(result.request);
  else pending?.reject(new TenonError(codeOf(result.code), { problem: result.problem }));
}

function codeOf(code: string): ErrorCode {
  return Object.hasOwn(ERROR_CODES, code) ? (code as ErrorCode) : "INTERNAL";
}
