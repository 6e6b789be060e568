/** Thirty damaged Parquet files through each engine, a hundred where `CI` is set; a thousand and more: `npm run fuzz -- --what tables --count 1000`. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fuzzTables } from "./tables.js";

const MUTANTS = process.env.CI ? 100 : 30;
const PACKAGES = { ts: undefined, duckdb: "@duckdb/node-api", polars: "nodejs-polars" } as const;

describe("damaged tables", () => {
  for (const engine of ["ts", "duckdb", "polars"] as const)
    it(`end no process that reads them by ${engine}`, async (t) => {
      try {
        if (PACKAGES[engine] !== undefined) await import(PACKAGES[engine]);
      } catch (error) {
        t.skip(`${PACKAGES[engine]} is not there: ${(error as Error).message.slice(0, 80)}`);
        return;
      }
      const { outcomes, defects } = await fuzzTables({ engine, mutants: MUTANTS, seed: 5 });
      assert.deepEqual(defects, []);
      const [read = 0, refused = 0] = [outcomes.get("read"), outcomes.get("FILE_INVALID")];
      assert.equal(read + refused, MUTANTS);
      assert.ok(read > 0.05 * MUTANTS && refused > 0.2 * MUTANTS, `${read} read, ${refused} refused`);
    });
});
