/** `npm run fuzz`: hostile models or requests for as long as wanted, and what became of them. */
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type FuzzReport, fuzzModels } from "../test/fuzz/models.js";
import { fuzzRequests, type Protocol, type RequestFuzzReport } from "../test/fuzz/requests.js";
import { fuzzServedModels, type ServedFuzzReport } from "../test/fuzz/served-models.js";
import { fuzzTables } from "../test/fuzz/tables.js";

const USAGE = `usage: npm run fuzz -- [--what models|served|requests|calls|tables] [--minutes N] [--count N] [--seed N] [--trust TRUST]
  --what     models (default): mutants, each in a process that may die of it; served: mutants
             loaded into tenon serve, one after the other; requests: over HTTP against
             tenon serve; calls: the same over gRPC; tables: Parquet files (--count of them,
             default 1000) through each engine, in a process that may die of it
  --minutes  how long; default 1
  --count    most mutants, requests or calls; default as many as fit in the time
  --seed     the same seed makes the same; default 1
  --trust    of models: untrusted (default) or pinned, how strict preflight is
  --isolation  of served: process (default) or group
Mutants of the official test models are made when TENON_PYTHON is set, else of our own small ones.
Those that end a process are kept in .cache/fuzz.`;

const { values } = parseArgs({
  options: {
    what: { type: "string", default: "models" },
    minutes: { type: "string", default: "1" },
    count: { type: "string" },
    seed: { type: "string", default: "1" },
    trust: { type: "string", default: "untrusted" },
    isolation: { type: "string", default: "process" },
  },
});

const [minutes, seed, most] = [values.minutes, values.seed, values.count ?? "Infinity"].map(Number) as [
  number,
  number,
  number,
];
const isolation = values.isolation === "group" ? "group" : "process";
const trust = values.trust === "pinned" ? "pinned" : "untrusted";

/** What can be fuzzed; each tells whether nothing happened that must not. */
const RUNS: Readonly<Record<string, () => Promise<boolean>>> = {
  models,
  served,
  requests: () => requests("http"),
  calls: () => requests("grpc"),
  tables,
};
const run = Object.hasOwn(RUNS, values.what) ? RUNS[values.what] : undefined;
if (
  run === undefined ||
  trust !== values.trust ||
  isolation !== values.isolation ||
  !(minutes > 0) ||
  !Number.isSafeInteger(seed) ||
  !(most > 0)
) {
  console.error(USAGE);
  process.exit(2);
}
process.exitCode = (await run()) ? 0 : 1;

async function models(): Promise<boolean> {
  const set = process.env.TENON_PYTHON ? "official" : "own";
  console.log(`seed ${seed}, mutants of the ${set} models, ${trust}`);
  const report = await fuzzModels({
    set,
    seed,
    trust,
    minutes,
    most,
    keep: join(resolve(import.meta.dirname, "../.."), ".cache/fuzz"),
    onProgress: (so) => console.log(describeModels(so)),
  });
  for (const { index, how } of report.crashes) console.log(`mutant ${index}: ${how}`);
  console.log(`\n${describeModels(report)}`);
  // A crash of native code is what process isolation is for; an error of ours that is none is not.
  return !report.outcomes.has("defect");
}

async function served(): Promise<boolean> {
  const set = process.env.TENON_PYTHON ? "official" : "own";
  console.log(`seed ${seed}, mutants of the ${set} models through the server, isolation ${isolation}`);
  const print = ({ mutants, outcomes, defects, slowestMs }: ServedFuzzReport): void =>
    console.log(
      `${mutants} mutants: ${inOrder(outcomes)}; ${defects.length} defects, slowest healthy request ${Math.round(slowestMs)} ms`,
    );
  const report = await fuzzServedModels({ set, seed, minutes, most, isolation, onProgress: print });
  for (const defect of report.defects) console.log(defect);
  print(report);
  return report.defects.length === 0;
}

async function requests(protocol: Protocol): Promise<boolean> {
  console.log(`seed ${seed}, requests over ${protocol}`);
  const report = await fuzzRequests({
    protocol,
    seed,
    minutes,
    most,
    onProgress: (so) => console.log(describeRequests(so)),
  });
  for (const defect of report.defects) console.log(defect);
  console.log(`\n${describeRequests(report)}`);
  return report.defects.length === 0;
}

async function tables(): Promise<boolean> {
  console.log(`seed ${seed}, damaged Parquet files`);
  let sound = true;
  for (const engine of ["ts", "duckdb", "polars"] as const) {
    const mutants = Number.isFinite(most) ? most : 1000;
    const keep = join(resolve(import.meta.dirname, "../.."), ".cache/fuzz");
    const report = await fuzzTables({ engine, mutants, seed, keep });
    for (const defect of report.defects) console.log(defect);
    console.log(`${engine}: ${report.mutants} mutants: ${inOrder(report.outcomes)}`);
    sound &&= report.defects.length === 0;
  }
  return sound;
}

function describeModels({ mutants, outcomes }: FuzzReport): string {
  return `${mutants} mutants: ${inOrder(outcomes)}`;
}

function describeRequests({ requests: sent, statuses, defects, slowestMs }: RequestFuzzReport): string {
  return `${sent} requests: ${inOrder(statuses)}; ${defects.length} defects, slowest good request ${Math.round(slowestMs)} ms`;
}

function inOrder(counts: ReadonlyMap<string, number>): string {
  const entries = [...counts].sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.map(([name, count]) => `${name} ${count}`).join(", ");
}
