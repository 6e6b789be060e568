/** Shards from the process that started this one, over its message channel. */
import { TenonError } from "../../base/index.js";
import type { ShardProgress } from "../shard.js";
import { isFinal, writeFailure } from "./failure.js";
import type { FromWorker, ToWorker } from "./messages.js";
import type { ShardSource, ShardWork } from "./shard-source.js";

/** Progress is told at most this often. */
const PROGRESS_MS = 200;

/** Sends a message to the parent; resolves when the channel has taken it, or is gone. */
function send(message: FromWorker): Promise<void> {
  return new Promise((resolve) => {
    if (process.connected !== true) return resolve();
    process.send!(message, () => resolve());
  });
}

/** Tells the parent that this worker cannot begin. */
export async function reportToParent(error: unknown): Promise<void> {
  await send({ type: "failed", failure: writeFailure(error), final: isFinal(error) });
}

export function parentSource(): ShardSource {
  let pending: { rows: number; quarantined: number; waited: Record<keyof ShardProgress["waited"], number> };
  const reset = (): void => {
    pending = { rows: 0, quarantined: 0, waited: { reading: 0, model: 0, writing: 0 } };
  };
  reset();
  let told = 0;
  const tell = async (): Promise<void> => {
    told = performance.now();
    const step = pending;
    reset();
    await send({ type: "progress", step });
  };
  return {
    progress({ rows, quarantined, waited }) {
      pending.rows += rows;
      pending.quarantined += quarantined;
      for (const what of ["reading", "model", "writing"] as const) pending.waited[what] += waited[what];
      if (performance.now() - told >= PROGRESS_MS) void tell();
    },
    run: ({ score, signal }: ShardWork) =>
      new Promise<void>((resolve, reject) => {
        let last = Promise.resolve();
        const end = (): void => {
          process.off("message", take);
          process.off("disconnect", gone);
          signal.removeEventListener("abort", aborted);
          void last.then(resolve);
        };
        const aborted = (): void => void last.finally(end);
        const gone = (): void => {
          end();
          reject(new TenonError("INTERRUPTED", { problem: "the process that started this worker is gone" }));
        };
        const one = async (shard: number): Promise<void> => {
          try {
            const part = await score(shard);
            await tell();
            await send({ type: "done", part });
          } catch (error) {
            if (!signal.aborted)
              await send({ type: "failed", shard, failure: writeFailure(error), final: isFinal(error) });
          }
        };
        const take = (message: unknown): void => {
          const order = message as ToWorker; // sent by local-workers.ts
          if (order.type === "end") end();
          else last = one(order.shard);
        };
        process.on("message", take);
        process.once("disconnect", gone);
        signal.addEventListener("abort", aborted, { once: true });
        void send({ type: "ready" });
      }),
    async [Symbol.asyncDispose]() {
      if (process.connected === true) process.disconnect();
    },
  };
}
