/** Trains a network on a Parquet table of pumps, and scores the table with its export. Usage: main.js [--rows 60000] [--epochs 6] [--seed 1] */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { writeModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { pumpNetwork, scalesOf, trainPumps } from "./network.js";
import { bestOf, openPumps } from "./pumps.js";
import { writePumps } from "./table.js";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "60000" },
    epochs: { type: "string", default: "6" },
    seed: { type: "string", default: "1" },
  },
});
const seed = Number(values.seed);

const folder = await mkdtemp(join(tmpdir(), "tenon-tabular-"));
try {
  const table = join(folder, "pumps.parquet");
  const { failed } = await writePumps(table, Number(values.rows), seed);
  console.log(`${values.rows} pumps, ${failed} of them failed`);
  const data = openPumps(table, seed);
  const model = pumpNetwork(await scalesOf(data.train), seed);
  const auroc = await trainPumps(model, data, { epochs: Number(values.epochs), seed });
  console.log(`AUROC ${auroc.toFixed(4)}; the true chances have ${(await bestOf(table)).toFixed(4)}`);

  await using engine = await Engine.open({ cache: false });
  const loaded = await engine.load(writeModel(model.toOnnx()), { name: "pumps" });
  for await (const { data: batch } of data.test.take(3)) {
    const { risk } = await loaded.run({ readings: batch.readings });
    for (let i = 0; i < risk!.size; i++)
      console.log(
        `risk ${Number(risk!.at(i)).toFixed(3)}, ${batch.failed.at(i) === 1n ? "failed" : "ran on"}`,
      );
  }
} finally {
  await rm(folder, { recursive: true });
}
