/** Polars' thread: only synchronous calls, since asynchronous ones end the process on damaged files. */
import { renameSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import type { PolarsAnswer, PolarsReply, PolarsRequest, RoomColumn } from "./polars-messages.js";

type Polars = typeof import("nodejs-polars");
type Series = import("nodejs-polars").Series;

const port = parentPort!; // this file runs in a thread only

function reply(message: PolarsReply): void {
  port.postMessage(message, "bytes" in message ? [message.bytes.buffer as ArrayBuffer] : []);
}

function window(
  polars: Polars,
  { path, row, rows, columns, numbers, room }: PolarsRequest & { kind: "window" },
): PolarsAnswer {
  const frame = polars
    .scanParquet(path, { glob: false, hivePartitioning: false })
    .slice(row, rows)
    .select(...columns)
    .collectSync();
  const placed =
    room === null ? [] : numbers.filter((column) => place(frame.getColumn(column.name), column, rows, room));
  const rest = columns.filter((name) => !placed.some((column) => column.name === name));
  return {
    placed: placed.map(({ name }) => name),
    // A copy in memory of our own: polars' cannot travel on every version of Node.
    bytes:
      rest.length === 0
        ? new Uint8Array(0)
        : new Uint8Array(
            frame
              .select(...rest)
              .rechunk()
              .writeIPCStream({ compression: "uncompressed" }),
          ),
  };
}

/** Copies a column of numbers to its place; false for one with nulls, or of another type than it was said to be. */
function place(series: Series, { array, at }: RoomColumn, rows: number, room: SharedArrayBuffer): boolean {
  let values: ArrayBufferView & { readonly length?: number };
  try {
    values = series.toTypedArray() as ArrayBufferView;
  } catch {
    return false; // nulls
  }
  if (values.constructor.name !== array || values.length !== rows) return false;
  new Uint8Array(room, at).set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
  return true;
}

function spill(polars: Polars, { plan, path }: PolarsRequest & { kind: "spill" }): PolarsAnswer {
  const frame = polars.LazyDataFrame.deserialize(Buffer.from(plan), "json");
  const unfinished = `${path}.part`;
  frame.collectSync().writeIPC(unfinished, { compression: "uncompressed" });
  renameSync(unfinished, path);
  return { placed: [], bytes: new Uint8Array(0) };
}

try {
  // Its modules name no default, which CommonJS has for Node.js.
  const loaded = (await import("nodejs-polars")) as unknown as { default?: Polars } & Polars;
  const polars = loaded.default ?? loaded;
  port.on("message", (request: PolarsRequest) => {
    try {
      reply(request.kind === "window" ? window(polars, request) : spill(polars, request));
    } catch (error) {
      reply({ error: error instanceof Error ? error.message : String(error) });
    }
  });
  reply({ ready: true });
} catch (error) {
  reply({ missing: error instanceof Error ? error.message : String(error) });
}
