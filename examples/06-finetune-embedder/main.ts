/** Tunes an embedder to find functions of Node.js by what they do. Usage: main.js FOLDER [--epochs 1] [--batch 32] [--out FOLDER] */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { embedder } from "tenon/embed";
import { declarations } from "./declarations.js";
import { measure, parted, tune } from "./tuning.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    epochs: { type: "string", default: "1" },
    batch: { type: "string", default: "32" },
    rows: { type: "string" },
    out: { type: "string" },
  },
});
const [folder] = positionals;
if (folder === undefined) {
  console.error(
    "usage: main.js FOLDER [--epochs 1] [--batch 32] [--rows N] [--out FOLDER]; see the README beside main.ts",
  );
  process.exit(2);
}

const all = declarations().slice(0, values.rows === undefined ? undefined : Number(values.rows));
const { train, test } = parted(all);
console.log(`${train.length} functions to train on, ${test.length} to find among all ${all.length}`);

async function shown(name: string, model: string): Promise<void> {
  await using opened = await embedder(model, { maxTokens: 64 });
  const found = await measure(opened, test, all);
  const text = Object.entries(found).map(([metric, value]) => `${metric} ${value.toFixed(3)}`);
  console.log(`${name}: ${text.join("  ")}`);
}

const temporary = await mkdtemp(join(tmpdir(), "tenon-tuned-"));
try {
  await shown("before", folder);
  const tuned = values.out ?? join(temporary, "tuned");
  await tune(folder, tuned, train, { epochs: Number(values.epochs), batch: Number(values.batch) });
  await shown("after", tuned);
} finally {
  await rm(temporary, { recursive: true });
}
