/** Polars' thread, started. */
import { Worker } from "node:worker_threads";
import { TenonError } from "../../base/index.js";
import { missingEngine } from "./optional.js";
import type { PolarsReply, PolarsThread } from "./polars-messages.js";

/** One engine call at a time, in one thread: polars brings threads of its own. Throws DEPENDENCY_MISSING. */
export async function openPolars(): Promise<PolarsThread> {
  const worker = new Worker(new URL("./polars-thread.js", import.meta.url));
  let settle: ((reply: PolarsReply) => void) | undefined;
  let ended: TenonError | undefined;
  const reply = (): Promise<PolarsReply> =>
    new Promise((resolve, reject) => {
      if (ended !== undefined) reject(ended);
      else settle = resolve;
      fail = reject;
    });
  let fail: (error: TenonError) => void = () => undefined;
  worker.on("message", (message: PolarsReply) => settle?.(message));
  const end = (cause: unknown): void => {
    ended = new TenonError("ENGINE_FAILED", { problem: "polars' thread ended", cause });
    fail(ended);
  };
  worker.on("error", end);
  worker.on("exit", end);
  const first = await reply();
  if ("missing" in first) {
    await worker.terminate();
    throw missingEngine("nodejs-polars", new Error(first.missing));
  }
  worker.unref();
  let last: Promise<unknown> = Promise.resolve();
  return {
    ask(request) {
      const asked = last.then(async () => {
        const coming = reply();
        worker.ref();
        worker.postMessage(request);
        const answer = await coming.finally(() => worker.unref());
        if ("bytes" in answer) return answer;
        throw new TenonError("FILE_INVALID", {
          problem: "polars cannot read this",
          given: "error" in answer ? answer.error.slice(0, 500) : "no answer",
        });
      });
      last = asked.catch(() => undefined);
      return asked;
    },
    async close() {
      await worker.terminate();
    },
  };
}
