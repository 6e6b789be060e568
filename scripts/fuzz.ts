/** `npm run fuzz`: mutated inputs for as long as wanted, each in a process that may die of it, and what became of them. */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type FuzzReport, fuzzModels } from "../test/fuzz/models.js";

const USAGE = `usage: npm run fuzz -- --what models [--minutes N] [--count N] [--seed N] [--trust TRUST]
  --minutes  how long; default 1
  --count    most mutants; default as many as fit in the time
  --seed     the same seed gives the same mutants; default 1
  --trust    untrusted (default) or pinned: how strict preflight is
Mutants of the official test models are made when TENON_PYTHON is set, else of our own small ones.
Those that end a process are kept in .cache/fuzz.`;

const { values } = parseArgs({
  options: {
    what: { type: "string", default: "models" },
    minutes: { type: "string", default: "1" },
    count: { type: "string" },
    seed: { type: "string", default: "1" },
    trust: { type: "string", default: "untrusted" },
  },
});

const [minutes, seed, most] = [values.minutes, values.seed, values.count ?? "Infinity"].map(Number);
const trust = values.trust === "pinned" ? "pinned" : "untrusted";
if (
  values.what !== "models" ||
  trust !== values.trust ||
  !(minutes! > 0) ||
  !Number.isSafeInteger(seed) ||
  !(most! > 0)
) {
  console.error(USAGE);
  process.exit(2);
}

function describe({ mutants, outcomes }: FuzzReport): string {
  const counts = [...outcomes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, n]) => `${name} ${n}`);
  return `${mutants} mutants: ${counts.join(", ")}`;
}

const set = process.env.TENON_PYTHON ? "official" : "own";
console.log(`seed ${seed}, mutants of the ${set} models, ${trust}`);
const report = await fuzzModels({
  set,
  seed: seed!,
  trust,
  minutes: minutes!,
  most: most!,
  keep: join(resolve(import.meta.dirname, "../.."), ".cache/fuzz"),
  onProgress: (so) => console.log(describe(so)),
});
for (const { index, how } of report.crashes) console.log(`mutant ${index}: ${how}`);
console.log(`\n${describe(report)}`);
// A crash of native code is what process isolation is for; an error of ours that is none is not.
process.exitCode = report.outcomes.has("defect") ? 1 : 0;
