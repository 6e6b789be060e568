/** A query of DuckDB as a source. */
import type { Source } from "../scan.js";
import { spooledSource, writeSpool } from "../spool.js";
import { openDuckDB, query } from "./duckdb.js";

export function querySource(sql: string): Source {
  return spooledSource({ kind: "sql", sql }, "duckdb", "query", async (path) => {
    const session = await openDuckDB();
    try {
      const { schema, chunks } = await query(session.connection, sql);
      await writeSpool(path, schema, chunks);
    } finally {
      session.close();
    }
  });
}
