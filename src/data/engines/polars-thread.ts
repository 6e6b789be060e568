/** Polars' thread: only synchronous calls, since asynchronous ones end the process on damaged files. */
import { renameSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import type { PolarsReply, PolarsRequest } from "./polars.js";

type Polars = typeof import("nodejs-polars");

const port = parentPort!; // this file runs in a thread only

function reply(message: PolarsReply): void {
  port.postMessage(message, "bytes" in message ? [message.bytes.buffer as ArrayBuffer] : []);
}

function window(
  polars: Polars,
  { path, row, rows, columns }: PolarsRequest & { kind: "window" },
): Uint8Array {
  const frame = polars
    .scanParquet(path, { glob: false, hivePartitioning: false })
    .slice(row, rows)
    .select(...columns)
    .collectSync();
  // A copy in memory of our own: polars' cannot travel on every version of Node.
  return new Uint8Array(frame.rechunk().writeIPCStream({ compression: "uncompressed" }));
}

function spill(polars: Polars, { plan, path }: PolarsRequest & { kind: "spill" }): Uint8Array {
  const frame = polars.LazyDataFrame.deserialize(Buffer.from(plan), "json");
  const unfinished = `${path}.part`;
  frame.collectSync().writeIPC(unfinished, { compression: "uncompressed" });
  renameSync(unfinished, path);
  return new Uint8Array(0);
}

try {
  // Its modules name no default, which CommonJS has for Node.js.
  const loaded = (await import("nodejs-polars")) as unknown as { default?: Polars } & Polars;
  const polars = loaded.default ?? loaded;
  port.on("message", (request: PolarsRequest) => {
    try {
      reply({ bytes: request.kind === "window" ? window(polars, request) : spill(polars, request) });
    } catch (error) {
      reply({ error: error instanceof Error ? error.message : String(error) });
    }
  });
  reply({ ready: true });
} catch (error) {
  reply({ missing: error instanceof Error ? error.message : String(error) });
}
