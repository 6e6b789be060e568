/** Rows kept as Parquet: written once, and anew when the source or the plan changed. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import { type Columns, columnValue, csv, type Dataset, pack, parquet, rows } from "tenon/data";

async function rowsOf(dataset: Dataset<Columns>): Promise<unknown[]> {
  const found: unknown[] = [];
  for await (const { data, rows: count } of dataset)
    for (let i = 0; i < count; i++)
      found.push(
        Object.fromEntries(Object.entries(data).map(([name, column]) => [name, columnValue(column, i)])),
      );
  return found;
}

const isUsage = (error: unknown): boolean => isTenonError(error, "USAGE");

describe("cache", () => {
  let folder: string;
  let path: string;
  let kept: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "tenon-cache-test-"));
    path = join(folder, "in.csv");
    kept = join(folder, "kept.parquet");
  });
  after(() => rmSync(folder, { recursive: true }));

  it("keeps parsed rows as Parquet until the source changes", async () => {
    writeFileSync(path, "a,b\n1,x\n2,\n");
    const dataset = csv(path, { types: { a: "int64" } }).where({ a: { gt: 1 } });
    assert.deepEqual(await rowsOf(await dataset.cache(kept)), [{ a: 2n, b: null }]);
    const before = statSync(kept, { bigint: true }).mtimeNs;
    assert.deepEqual(await rowsOf(await dataset.cache(kept)), [{ a: 2n, b: null }]);
    assert.equal(statSync(kept, { bigint: true }).mtimeNs, before);
    writeFileSync(path, "a,b\n3,x\n2,\n4,z\n");
    assert.equal((await rowsOf(await dataset.cache(kept))).length, 3);
    assert.deepEqual(await rowsOf(await dataset.select("b").cache(kept)), [
      { b: "x" },
      { b: null },
      { b: "z" },
    ]);
    await assert.rejects(rows([{ a: Int32Array.of(1) }]).cache(kept), isUsage);
    await assert.rejects(dataset.tensors({ a: pack(["a"]) }).cache(kept), isUsage);
  });

  it("holds every row, whatever the batches", async () => {
    writeFileSync(path, "a\n1\n2\n3\n");
    for (const last of ["drop", "pad", "keep"] as const)
      assert.equal(
        (
          await rowsOf(
            await csv(path)
              .batch(2, { last })
              .cache(join(folder, `${last}.parquet`)),
          )
        ).length,
        3,
        last,
      );
  });

  it("is never written over its source", async () => {
    writeFileSync(path, "a\n1\n2\n3\n");
    await csv(path).cache(kept);
    const bytes = readFileSync(kept);
    await assert.rejects(parquet(kept).take(1).cache(`${folder}/./kept.parquet`), isUsage);
    assert.deepEqual(readFileSync(kept), bytes);
  });
});
