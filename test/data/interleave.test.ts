/** Interleaved datasets: order, weights, ends, and streams that stop and go on. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import { col, type Dataset, type InterleavedPosition, interleave, parquet, sink } from "tenon/data";
import type { Tensor } from "tenon/tensor";

describe("interleave", () => {
  let folder: string;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), "tenon-interleave-"));
    for (const [name, rows] of [
      ["a", 3000],
      ["b", 1000],
    ] as const) {
      await using out = sink.parquet(join(folder, `${name}.parquet`), { rowGroup: 250 });
      await out.write({ id: Int32Array.from({ length: rows }, (_, i) => (name === "a" ? i : -1 - i)) });
      await out.commit();
    }
  });
  after(() => rmSync(folder, { recursive: true }));

  const ids = (name: string): Dataset<{ readonly id: Tensor<"int32"> }> =>
    parquet(join(folder, `${name}.parquet`))
      .tensors({ id: col("id", "int32") })
      .shuffle({ seed: 3, window: 500 })
      .batch(10);
  const mixed = (until: "all" | "first" = "all") =>
    interleave([ids("a"), ids("b")], { weights: [1, 3], seed: 5, until });

  async function read(from?: InterleavedPosition, until: "all" | "first" = "all") {
    const found: { dataset: number; ids: number[]; next: InterleavedPosition }[] = [];
    for await (const { dataset, data, next } of mixed(until).iterate(from === undefined ? {} : { from }))
      found.push({ dataset, ids: [...data.id.data], next: JSON.parse(JSON.stringify(next)) });
    return found;
  }

  it("gives every batch of each dataset once, in its own order, drawn by weight", async () => {
    const found = await read();
    for (const [index, name] of ["a", "b"].entries()) {
      const alone: number[] = [];
      for await (const { data } of ids(name)) alone.push(...data.id.data);
      assert.deepEqual(
        found.filter(({ dataset }) => dataset === index).flatMap((batch) => batch.ids),
        alone,
      );
    }
    const both = found.slice(0, 100).filter(({ dataset }) => dataset === 1).length;
    assert.ok(both > 60 && both < 90, `${both} of 100 for a weight of 3 in 4`);
  });

  it("goes on from any position as if it had not stopped", async () => {
    const whole = await read();
    for (const stop of [0, 1, 57, 131, 399]) {
      const rest = await read(whole[stop]!.next);
      assert.deepEqual(rest, whole.slice(stop + 1), `after batch ${stop}`);
    }
  });

  it("ends with the first dataset where that is wanted", async () => {
    const found = await read(undefined, "first");
    assert.equal(found.filter(({ dataset }) => dataset === 1).length, 100);
    assert.ok(found.length < 200, String(found.length));
  });

  it("refuses weights that do not fit, and positions of others", async () => {
    for (const weights of [[1], [1, 0], [1, Number.NaN], [1e308, 1e308]])
      assert.throws(
        () => interleave([ids("a"), ids("b")], { weights }),
        (error) => isTenonError(error, "USAGE"),
      );
    const { next } = (await read())[3]!;
    const other = interleave([ids("a"), ids("b")], { seed: 5 });
    await assert.rejects(other.iterate({ from: next }).next(), (error) => isTenonError(error, "USAGE"));
  });
});
