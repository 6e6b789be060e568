/** Polars as an engine: row groups of Parquet and lazy frames, in a thread of its own. */
import { Worker } from "node:worker_threads";
import { isTenonError, TenonError } from "../../base/index.js";
import type { Scan, Source } from "../scan.js";
import { spooledSource } from "../spool.js";
import { engineScan } from "./engine-scan.js";
import { missingEngine } from "./optional.js";
import type { PolarsReply, PolarsThread } from "./polars-messages.js";
import { type PageCheck, PolarsWindows } from "./polars-windows.js";

/** One engine call at a time, in one thread: polars brings threads of its own. */
async function openPolars(): Promise<PolarsThread> {
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

/** A scan of Parquet whose row groups polars reads. Throws DEPENDENCY_MISSING. */
export async function withPolars(
  scan: Scan,
  places: ReadonlyMap<string, readonly string[]>,
  check: PageCheck,
): Promise<Scan> {
  const thread = await openPolars();
  return engineScan(scan, places, new PolarsWindows(scan, thread, check));
}

/** A lazy frame of nodejs-polars: what it needs of it. */
export interface LazyFrame {
  serialize(format: "json"): Buffer;
}

/** The rows of a lazy frame, collected once, in polars' thread, into a file. */
export function lazyFrameSource(frame: LazyFrame): Source {
  let plan: string;
  try {
    plan = frame.serialize("json").toString();
  } catch (cause) {
    throw new TenonError("USAGE", { problem: "this is no lazy frame of nodejs-polars", cause });
  }
  return spooledSource({ kind: "polars", plan }, "polars", "lazy frame", async (path) => {
    const thread = await openPolars();
    try {
      await thread.ask({ kind: "spill", plan, path });
    } catch (error) {
      if (!isTenonError(error, "FILE_INVALID")) throw error;
      throw new TenonError("USAGE", {
        problem: "polars cannot collect the lazy frame",
        ...(error.given === undefined ? {} : { given: error.given }),
        cause: error,
      });
    } finally {
      await thread.close();
    }
  });
}
