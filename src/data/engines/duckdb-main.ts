/** DuckDB's process: one request after another; native code that fails on a damaged file ends this process alone. */
import { isTenonError, toTenonError } from "../../base/index.js";
import { writeSpool } from "../spool.js";
import { loadDuckDB, openDuckDB, query, readRows } from "./duckdb.js";
import type { DuckDBReply, DuckDBRequest } from "./duckdb-process.js";

function send(reply: DuckDBReply): void {
  process.send?.(reply);
}

function failure(error: unknown): DuckDBReply {
  const { code, problem, given, expected, do: advice, cause } = toTenonError(error);
  const reason = isTenonError(error) || !(cause instanceof Error) ? given : cause.message.slice(0, 500);
  return { failed: { code, problem, given: reason, expected, do: advice } };
}

process.once("disconnect", () => process.exit());
try {
  await loadDuckDB();
  const connection = await openDuckDB();
  process.on("message", (request: DuckDBRequest) => {
    void answer(request).then(send, (error: unknown) => send(failure(error)));
  });
  const answer = async (request: DuckDBRequest): Promise<DuckDBReply> => {
    if (request.kind === "rows")
      return { columns: await readRows(connection, request.query, request.fields, request.rows) };
    const { schema, chunks } = await query(connection, request.sql);
    await writeSpool(request.path, schema, chunks);
    return { done: true };
  };
  send({ done: true });
} catch (error) {
  send({ missing: error instanceof Error ? error.message : String(error) });
  process.disconnect();
}
