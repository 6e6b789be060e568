/** Polars' thread: only synchronous calls, since asynchronous ones end the process on damaged files. */
import { renameSync, rmSync } from "node:fs";
import { parentPort } from "node:worker_threads";
import type { PolarsAnswer, PolarsReply, PolarsRequest, RoomColumn } from "./polars-messages.js";

type Polars = typeof import("nodejs-polars");
type DataFrame = import("nodejs-polars").DataFrame;
type LazyDataFrame = import("nodejs-polars").LazyDataFrame;
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
    bytes: rest.length === 0 ? new Uint8Array(0) : streamOf(frame.select(...rest)),
  };
}

/** A copy in memory of our own: polars' cannot travel on every version of Node. */
function streamOf(frame: DataFrame): Uint8Array {
  return new Uint8Array(frame.rechunk().writeIPCStream({ compression: "uncompressed" }));
}

function run(polars: Polars, { plan }: PolarsRequest & { kind: "plan" }): PolarsAnswer {
  return { placed: [], bytes: streamOf(frameOf(polars, plan).collectSync()) };
}

/** What is asked for, by its kind. */
function answer(polars: Polars, request: PolarsRequest): PolarsAnswer {
  switch (request.kind) {
    case "window":
      return window(polars, request);
    case "plan":
      return run(polars, request);
    case "spill":
      return spill(polars, request);
  }
}

function frameOf(polars: Polars, plan: string): LazyDataFrame {
  return polars.LazyDataFrame.deserialize(Buffer.from(plan), "json");
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
  const unfinished = `${path}.part`;
  const frame = frameOf(polars, plan).collectSync();
  const options = { compression: "uncompressed" } as const;
  try {
    frame.writeIPC(unfinished, options);
  } catch (error) {
    rmSync(unfinished, { force: true });
    // Chunks number their categories each in its own way, and a file has one numbering.
    if (!/dictionary/i.test(String(error))) throw error;
    frame.rechunk().writeIPC(unfinished, options);
  }
  renameSync(unfinished, path);
  return { placed: [], bytes: new Uint8Array(0) };
}

try {
  // Its modules name no default, which CommonJS has for Node.js.
  const loaded = (await import("nodejs-polars")) as unknown as { default?: Polars } & Polars;
  const polars = loaded.default ?? loaded;
  port.on("message", (request: PolarsRequest) => {
    try {
      reply(answer(polars, request));
    } catch (error) {
      reply({ error: error instanceof Error ? error.message : String(error) });
    }
  });
  reply({ ready: true });
} catch (error) {
  reply({ missing: error instanceof Error ? error.message : String(error) });
}
