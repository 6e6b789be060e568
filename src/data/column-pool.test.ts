/** Column memory that is taken again: only after its last holder has let go. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { ColumnPool } from "./column-pool.js";
import { type FixedColumn, parquet, sink } from "./index.js";

describe("column memory", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-pool-"));
    await using out = sink.parquet(join(folder, "x.parquet"), { rowGroup: 140_000 });
    await out.write({ id: Int32Array.from({ length: 700_000 }, (_, i) => i) });
    await out.commit();
  });
  after(() => rmSync(folder, { recursive: true }));

  it("is free once every holder has dropped it", () => {
    const pool = new ColumnPool();
    const first = pool.lease();
    const { buffer } = first.take(100);
    first.hold();
    first.drop();
    assert.notEqual(pool.lease().take(100).buffer, buffer);
    first.drop();
    assert.notEqual(pool.lease().take(40).buffer, buffer, "half of it would be lost");
    assert.equal(pool.lease().take(97).buffer, buffer);
    assert.notEqual(pool.lease().take(97).buffer, buffer);
  });

  it("comes again in later windows, and never under a batch that is not released", async () => {
    const kept: { from: number; values: Int32Array; batch: { release(): void } }[] = [];
    const buffers = new Set<unknown>();
    let windows = 0;
    let from = 0;
    for await (const batch of parquet(join(folder, "x.parquet")).batch(35_000)) {
      const { values } = batch.data.id as FixedColumn;
      if (from % 140_000 === 0) windows++;
      buffers.add(values.buffer);
      // The batches of the second window are kept, one of them to the end.
      if (from >= 140_000 && from < 280_000) kept.push({ from, values: values as Int32Array, batch });
      else batch.release();
      from += batch.rows;
    }
    assert.equal(from, 700_000);
    assert.equal(windows, 5);
    assert.ok(buffers.size < windows, `${buffers.size} buffers for ${windows} windows`);
    for (const { from: start, values, batch } of kept) {
      assert.deepEqual([values[0], values[17_000], values[34_999]], [start, start + 17_000, start + 34_999]);
      batch.release();
    }
  });
});
