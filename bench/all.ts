/** Runs the benches and prints the table of claims. Usage: all.js [--write] [--full] [--seconds S] [--rounds R] [--tries T] [name part …] */
import { parseArgs } from "node:util";
import { bench as addedLatency } from "./claims/added-latency.js";
import { bench as allLanes } from "./claims/all-lanes.js";
import { bench as batching } from "./claims/batching.js";
import { bench as cachedLoad } from "./claims/cached-load.js";
import { bench as encoder } from "./claims/encoder.js";
import { bench as eventLoop } from "./claims/event-loop.js";
import { bench as fronts } from "./claims/fronts.js";
import { bench as grpcCpu } from "./claims/grpc-cpu.js";
import { bench as httpBinaryCpu } from "./claims/http-binary-cpu.js";
import { bench as httpSmallJson } from "./claims/http-small-json.js";
import { bench as httpSqueezenet } from "./claims/http-squeezenet.js";
import { bench as jsonParse } from "./claims/json-parse.js";
import { bench as laneThroughput } from "./claims/lane-throughput.js";
import { bench as leaseCopies } from "./claims/lease-copies.js";
import { bench as memoryFlat } from "./claims/memory-flat.js";
import { bench as paddedServer } from "./claims/padded-server.js";
import { bench as processRunner } from "./claims/process-runner.js";
import { bench as search } from "./claims/search.js";
import { bench as secondHandle } from "./claims/second-handle.js";
import { type Bench, type Effort, type Finding, takeForeignShare } from "./harness/bench.js";
import { machineLine } from "./harness/machine.js";
import { clearCompiled } from "./harness/model-files.js";
import { markdownTable, verdict, writeResults } from "./harness/report.js";

const BENCHES: readonly Bench[] = [
  laneThroughput,
  allLanes,
  addedLatency,
  batching,
  eventLoop,
  leaseCopies,
  cachedLoad,
  secondHandle,
  grpcCpu,
  httpBinaryCpu,
  httpSmallJson,
  fronts,
  httpSqueezenet,
  encoder,
  paddedServer,
  memoryFlat,
  processRunner,
  jsonParse,
  search,
];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    write: { type: "boolean", default: false },
    full: { type: "boolean", default: false },
    seconds: { type: "string", default: "3" },
    rounds: { type: "string", default: "5" },
    tries: { type: "string", default: "1" },
  },
});

const effort: Effort = {
  seconds: Number(values.seconds),
  rounds: Number(values.rounds),
  tries: Number(values.tries),
  share: values.full ? 1 : 0.1,
};
if (!(effort.seconds > 0) || !(effort.rounds >= 1) || !(effort.tries >= 1)) {
  console.error("--seconds, --rounds and --tries take numbers above 0");
  process.exit(2);
}

const chosen = BENCHES.filter(
  ({ name }) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
);
if (chosen.length === 0) {
  console.error(
    `no bench matches ${positionals.join(" ")}; there are ${BENCHES.map(({ name }) => name).join(", ")}`,
  );
  process.exit(2);
}

if (values.write && chosen.length < BENCHES.length) {
  console.error("--write replaces the whole table: give no names with it");
  process.exit(2);
}

const machine = machineLine();
console.log(machine);
clearCompiled();
const findings: Finding[] = [];
let mostDisturbed = 0;
for (const bench of chosen) {
  const start = performance.now();
  for (const finding of await bench.run(effort)) {
    findings.push(finding);
    console.log(
      `${verdict(finding).padEnd(8)} ${finding.claim}: ${finding.measured}, target ${finding.target}`,
    );
  }
  const seconds = ((performance.now() - start) / 1000).toFixed(0);
  const foreign = takeForeignShare();
  const disturbed = Number.isNaN(foreign) ? "" : `; other programs took ${(100 * foreign).toFixed(0)} %`;
  if (foreign > mostDisturbed) mostDisturbed = foreign;
  console.log(`         ${bench.name} took ${seconds} s${disturbed}`);
}
console.log(`\n${markdownTable(findings)}`);
if (values.write) {
  const rounds = `Medians of ${effort.rounds} rounds of ${effort.seconds} s for each side, in alternation`;
  const others = `other programs took at most ${(100 * mostDisturbed).toFixed(0)} % of the machine meanwhile`;
  writeResults(machine, `${rounds}; ${others}`, findings);
}
