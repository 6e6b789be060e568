/** Polars as an engine: row groups of Parquet and lazy frames, in a thread of its own, handed over as Arrow IPC. */
import { Worker } from "node:worker_threads";
import { isTenonError, TenonError } from "../../base/index.js";
import { readBatch } from "../arrow/batch.js";
import { indexMessages, readBlock } from "../arrow/messages.js";
import { fieldsOf } from "../arrow/schema.js";
import { type Column, type FieldType, printType, typeOf } from "../column.js";
import { joinColumns } from "../rows.js";
import type { Scan, Source } from "../scan.js";
import { spooledSource } from "../spool.js";
import { checkRows, engineScan } from "./engine-scan.js";
import { missingEngine } from "./optional.js";

/** What the thread is asked for. */
export type PolarsRequest =
  | {
      readonly kind: "window";
      readonly path: string;
      readonly row: number;
      readonly rows: number;
      readonly columns: readonly string[];
    }
  | { readonly kind: "spill"; readonly plan: string; readonly path: string };

export type PolarsReply =
  | { readonly ready: true }
  | { readonly missing: string }
  | { readonly error: string }
  | { readonly bytes: Uint8Array };

interface PolarsThread {
  ask(request: PolarsRequest): Promise<Uint8Array>;
  close(): Promise<void>;
}

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
        if ("bytes" in answer) return answer.bytes;
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
export async function withPolars(scan: Scan, places: ReadonlyMap<string, readonly string[]>): Promise<Scan> {
  const thread = await openPolars();
  return engineScan(scan, places, {
    name: "polars",
    async read({ path, row, rows, places: stored }) {
      const columns = [...new Set([...stored.values()].map(([outer]) => outer))];
      const bytes = await thread.ask({ kind: "window", path, row, rows, columns });
      const read = await columnsOf(bytes, rows);
      const result = new Map<string, Column>();
      for (const name of stored.keys())
        result.set(name, fitting(name, read.get(name), scan.schema.get(name)!));
      return result;
    },
    [Symbol.asyncDispose]: () => thread.close(),
  });
}

/** The columns of an Arrow stream in memory that must hold `rows` rows. */
async function columnsOf(bytes: Uint8Array, rows: number): Promise<Map<string, Column>> {
  const file = {
    size: bytes.length,
    read: (target: Uint8Array, position: number) => {
      const part = bytes.subarray(position, position + target.length);
      target.set(part);
      return Promise.resolve(part.length);
    },
    close: () => Promise.resolve(),
  };
  const index = await indexMessages(file);
  const fields = fieldsOf(index.schema);
  const parts: { rows: number; columns: Map<string, Column> }[] = [];
  for (const block of index.batches) {
    const { content, body } = await readBlock(file, block);
    parts.push(readBatch(content, body, fields, () => true, new Map()));
  }
  checkRows(
    "polars",
    parts.reduce((sum, part) => sum + part.rows, 0),
    rows,
  );
  const joined = new Map<string, Column>();
  for (const name of parts[0]?.columns.keys() ?? [])
    joined.set(
      name,
      joinColumns(
        name,
        parts.map(({ rows, columns }) => ({ column: columns.get(name)!, rows })),
      ),
    );
  return joined;
}

/** The column with the meaning of its field; polars keeps numbers as they are stored. */
function fitting(name: string, column: Column | undefined, field: FieldType): Column {
  if (column === undefined) throw differs(name, "no such column", printType(field.dtype));
  if (printType(typeOf(column)) !== printType(field.dtype))
    throw differs(name, printType(typeOf(column)), printType(field.dtype));
  return column;
}

function differs(name: string, given: string, expected: string): TenonError {
  return new TenonError("USAGE", {
    problem: `polars gives another type of column "${name}"`,
    given,
    expected,
    do: "leave the column out, or read it by the built-in engine",
  });
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
