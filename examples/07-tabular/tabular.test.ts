/** The example at a quarter of its size: the network ranks pumps almost as well as the chances that the table was made by. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pumpNetwork, scalesOf, trainPumps } from "./network.js";
import { bestOf, openPumps } from "./pumps.js";
import { writePumps } from "./table.js";

test("a network learns from a Parquet table which pumps fail", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tenon-tabular-"));
  try {
    const table = join(folder, "pumps.parquet");
    const { failed } = await writePumps(table, 15_000, 1);
    assert.ok(failed > 2500 && failed < 10_000, String(failed));
    const data = openPumps(table, 1);
    const scales = await scalesOf(data.train);
    assert.ok(Math.abs(scales.mean[0]! - 55) < 1 && Math.abs(scales.deviation[1]! - 0.866) < 0.03);
    const auroc = await trainPumps(pumpNetwork(scales, 1), data, { epochs: 6, seed: 1, quiet: true });
    const best = await bestOf(table);
    assert.ok(auroc > best - 0.04 && auroc < best + 0.02, `${auroc}, the true chances ${best}`);
  } finally {
    await rm(folder, { recursive: true });
  }
});
