/** DuckDB as an engine: row groups of Parquet and queries, asked of a process of its own. */
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type ErrorCode, TenonError } from "../../base/index.js";
import type { Column, Schema } from "../column.js";
import type { Scan, Source } from "../scan.js";
import { spooledSource } from "../spool.js";
import { engineScan } from "./engine-scan.js";
import { missingEngine } from "./optional.js";

/** What the process is asked for: columns of a query, or its rows in an Arrow file. */
export type DuckDBRequest =
  | { readonly kind: "rows"; readonly query: string; readonly fields: Schema; readonly rows: number }
  | { readonly kind: "spool"; readonly sql: string; readonly path: string };

interface Failure {
  readonly code: ErrorCode;
  readonly problem: string;
  readonly given?: string | undefined;
  readonly expected?: string | undefined;
  readonly do?: string | undefined;
}

export type DuckDBReply =
  | { readonly done: true }
  | { readonly missing: string }
  | { readonly failed: Failure }
  | { readonly columns: ReadonlyMap<string, Column> };

/** The process, started when it is needed first and again after its death; one question at a time. */
class DuckDBProcess {
  #child: ChildProcess | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** Throws DEPENDENCY_MISSING; ENGINE_FAILED when the process ends over the question. */
  async start(): Promise<void> {
    await this.#queued(() => this.#started());
  }

  /** Throws what DuckDB refuses, and ENGINE_FAILED when the process ends over the question. */
  async ask(request: DuckDBRequest): Promise<DuckDBReply> {
    return this.#queued(async () => {
      const child = await this.#started();
      const reply = this.#reply(child);
      child.send(request);
      const answer = await reply;
      if (!("failed" in answer)) return answer;
      const { code, problem, ...rest } = answer.failed;
      const known = Object.entries(rest).filter(([, value]) => value !== undefined);
      throw new TenonError(code, { problem, ...Object.fromEntries(known) });
    });
  }

  #queued<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#last.then(work);
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #started(): Promise<ChildProcess> {
    if (this.#child !== undefined) return this.#child;
    const child = fork(fileURLToPath(new URL("./duckdb-main.js", import.meta.url)), {
      serialization: "advanced",
      execArgv: [],
      stdio: ["ignore", "ignore", "ignore", "ipc"],
    });
    child.unref();
    child.on("error", () => undefined); // a question that finds no process is answered by its end
    const first = await this.#reply(child);
    if ("missing" in first) throw missingEngine("@duckdb/node-api", new Error(first.missing));
    child.once("exit", () => {
      if (this.#child === child) this.#child = undefined;
    });
    this.#child = child;
    return child;
  }

  /** The next answer. The program of this process goes on while it is awaited, and may end otherwise. */
  #reply(child: ChildProcess): Promise<DuckDBReply> {
    return new Promise<DuckDBReply>((resolve, reject) => {
      const settle = (): void => {
        child.off("message", answered);
        child.off("exit", ended);
        child.off("error", failed);
        child.channel?.unref();
      };
      const answered = (reply: unknown): void => {
        settle();
        resolve(reply as DuckDBReply); // from duckdb-main.ts
      };
      const failed = (cause: unknown): void => {
        settle();
        reject(new TenonError("ENGINE_FAILED", { problem: "DuckDB's process cannot be asked", cause }));
      };
      const ended = (code: number | null, signal: string | null): void => {
        settle();
        this.#child = undefined;
        const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
        reject(new TenonError("ENGINE_FAILED", { problem: "DuckDB's process ended", given: how }));
      };
      child.on("message", answered);
      child.on("exit", ended);
      child.on("error", failed);
      child.channel?.ref();
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#last;
    const child = this.#child;
    if (child === undefined) return;
    this.#child = undefined;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    child.ref();
    child.kill("SIGKILL");
    await ended;
  }
}

const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const text = (value: string): string => `'${value.replaceAll("'", "''")}'`;

/** A path as DuckDB's pattern for that file alone. */
const literally = (path: string): string => path.replace(/[*?[]/g, "[$&]");

/** A scan of Parquet whose row groups DuckDB reads. Throws DEPENDENCY_MISSING. */
export async function withDuckDB(scan: Scan, places: ReadonlyMap<string, readonly string[]>): Promise<Scan> {
  const duckdb = new DuckDBProcess();
  await duckdb.start();
  return engineScan(scan, places, {
    name: "duckdb",
    async read({ path, row, rows, places: stored }) {
      const selected = [...stored.values()].map((place) => place.map(quoted).join("."));
      const from = `read_parquet([${text(literally(path))}], file_row_number = true, hive_partitioning = false)`;
      const where = `file_row_number BETWEEN ${row} AND ${row + rows - 1}`;
      const fields = new Map([...stored.keys()].map((name) => [name, scan.schema.get(name)!]));
      const answer = await duckdb.ask({
        kind: "rows",
        query: `SELECT ${selected.join(", ")} FROM ${from} WHERE ${where}`,
        fields,
        rows,
      });
      return "columns" in answer ? answer.columns : new Map<string, Column>();
    },
    [Symbol.asyncDispose]: () => duckdb[Symbol.asyncDispose](),
  });
}

/** A query of DuckDB as a source. */
export function querySource(sql: string): Source {
  return spooledSource({ kind: "sql", sql }, "duckdb", "query", async (path) => {
    await using duckdb = new DuckDBProcess();
    await duckdb.ask({ kind: "spool", sql, path });
  });
}
