/** A table of sensor readings, a model, and `tenon score` over it on two workers. Usage: main.js [--rows N] [--folder DIR] */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { columnValue, parquet } from "tenon/data";
import { pumpModel } from "./pump-model.js";
import { writeReadings } from "./readings.js";

const { values } = parseArgs({
  options: {
    rows: { type: "string", default: "1000000" },
    folder: { type: "string", default: join(tmpdir(), "tenon-example-score") },
  },
});
const { folder } = values;
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "pumps.onnx"), pumpModel());
await writeReadings(join(folder, "readings.parquet"), Number(values.rows));

const args = ["score", "pumps.onnx", "--input", "readings.parquet", "--output", "scored"];
const options = ["--map", "x=temperature,vibration,pressure", "--rows-per-shard", "250k", "--workers", "2"];
console.log(`tenon ${[...args, ...options].join(" ")}`);
const command = resolve(import.meta.dirname, "../../../dist/cli/main.cjs");
const child = spawn(process.execPath, [command, ...args, ...options], { cwd: folder, stdio: "inherit" });
const [code] = (await once(child, "close")) as [number | null];
if (code !== 0) process.exit(code ?? 1);

const worst: { readonly pump: unknown; readonly risk: number }[] = [];
for await (const { data, rows } of parquet(join(folder, "scored/part-*.parquet"))) {
  for (let i = 0; i < rows; i++)
    worst.push({ pump: columnValue(data.pump!, i), risk: columnValue(data.risk!, i) as number }); // one number a row
  worst.sort((a, b) => b.risk - a.risk).splice(3);
}
for (const { pump, risk } of worst) console.log(`${pump}: ${risk.toFixed(4)}`);
