/** Claims: what a process of its own costs a model, and how soon one that crashed answers again. */
import { readFileSync } from "node:fs";
import { graph, type OnnxModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { zeros } from "tenon/tensor";
import { MODELS, type ModelName } from "../../test/support/models.js";
import { intDivideModel } from "../../test/support/small-models.js";
import {
  alternateRounds,
  type Bench,
  type Effort,
  type Finding,
  perCpuSecond,
  perSecond,
  withSides,
} from "../harness/bench.js";
import { closedLoop } from "../harness/loops.js";
import { modelFile } from "../harness/model-files.js";
import { times } from "../harness/report.js";
import { type MakeSide, numberSetting, type Sample, type Sides, textSetting } from "../harness/side.js";
import { median } from "../harness/statistics.js";

const SIZES = [1 << 10, 602_112, 10 << 20] as const;
/** Trips of each size in one turn, and turns; a turn of each size after the other. */
const TRIPS = 100;
const TURNS = 30;
/** Trips before the first that counts: code is compiled well only after some thousands. */
const WARM_UP = 6000;
const TRIP_US = 80;
/** Rounds at full size. */
const PAIRS = 20;
const CRASHES = 9;
const CALIBRATION_MS = 1000;

/** A model in either isolation. Measure: `seconds`, `clients`. */
const runner: MakeSide = async (settings) => {
  const isolation = textSetting(settings, "isolation") === "process" ? "process" : "inline";
  const engine = await Engine.open({ isolation, dedicatedPool: true });
  const name = textSetting(settings, "model") as ModelName;
  const model = await engine.load(await modelFile(name));
  await new Promise((resolve) => setTimeout(resolve, CALIBRATION_MS));
  const inputs = MODELS[name].inputs(1);
  await model.run(inputs);
  return {
    async measure(given) {
      const before = process.cpuUsage();
      const childBefore = cpuMsOf(model.profile.pid);
      const seconds = numberSetting(given, "seconds");
      const sample = await closedLoop(seconds, numberSetting(given, "clients"), () => model.run(inputs));
      const { user, system } = process.cpuUsage(before);
      return { ...sample, cpuMs: (user + system) / 1000 + cpuMsOf(model.profile.pid) - childBefore };
    },
    close: () => engine.close(),
  };
};

/** The kernel counts in these. */
const TICK_MS = 10;

/** CPU time that another process has used; 0 for none. */
function cpuMsOf(pid: number | undefined): number {
  if (pid === undefined) return 0;
  const fields = readFileSync(`/proc/${pid}/stat`, "latin1")
    .replace(/^.*\) /, "")
    .split(" ");
  return TICK_MS * (Number(fields[11]) + Number(fields[12]));
}

/** Looks at nothing of its input, so that only the way is measured. */
function shapeModel(): OnnxModel {
  const g = graph({ opset: 17, name: "shape" });
  g.output(g.add("Shape", [g.input("x", "uint8", ["N"])]), "y");
  return g.model();
}

export const sides: Sides = { runner };

async function transport(): Promise<Finding[]> {
  await using engine = await Engine.open({ isolation: "process" });
  const model = await engine.load(shapeModel(), { name: "trip", calibrate: false, batch: { max: 1 } });
  const leases = await Promise.all(SIZES.map((bytes) => model.lease(bytes)));
  for (let i = 0; i < WARM_UP; i++) await leases[i % leases.length]!.run();
  const trips = SIZES.map((): number[] => []);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const [size, lease] of leases.entries()) {
      for (let i = 0; i < TRIPS; i++) {
        const startedAt = performance.now();
        await lease.run();
        trips[size]!.push(performance.now() - startedAt);
      }
    }
  }
  return SIZES.map((bytes, size) => {
    const us = 1000 * median(trips[size]!);
    return {
      claim: `round trip to a model process and back, p50, ${bytes} bytes already in shared memory`,
      target: `≤ ${TRIP_US} µs`,
      measured: `${us.toFixed(0)} µs`,
      met: us <= TRIP_US,
    };
  });
}

/** The median over the rounds of a measure in a process of its own against the same inline, measured next to it. */
async function against(
  model: ModelName,
  clients: number,
  effort: Effort,
  measure: (sample: Sample) => number,
): Promise<number> {
  const side = (isolation: string) => ({ side: "runner", settings: { model, isolation } });
  const rounds = await withSides(
    import.meta.url,
    { inline: side("inline"), process: side("process") },
    (team) => alternateRounds(team, effort, { clients }),
  );
  return median(rounds.process.map((sample, round) => measure(sample) / measure(rounds.inline[round]!)));
}

/** Milliseconds from a crash's answer to the next right one. */
async function recovery(spare: "process" | "model"): Promise<number> {
  const waits: number[] = [];
  for (let i = 0; i < CRASHES; i++) {
    await using engine = await Engine.open({ isolation: "process", process: { spare } });
    const model = await engine.load(intDivideModel(), { name: "crashing", calibrate: false });
    await new Promise((resolve) => setTimeout(resolve, CALIBRATION_MS));
    const x = zeros("int32", [1, 4]);
    const poison = zeros("int32", [1, 4]);
    (poison.data as Int32Array).fill(-(2 ** 31));
    await model.run({ x: poison }).catch(() => undefined);
    const startedAt = performance.now();
    await model.run({ x });
    waits.push(performance.now() - startedAt);
  }
  return median(waits);
}

export const bench: Bench = {
  name: "process-runner",
  async run(effort) {
    const findings = await transport();
    const full = effort.share === 1 ? { ...effort, rounds: Math.max(effort.rounds, PAIRS) } : effort;
    const cpu = 1 / (await against("squeezenet", 4, full, perCpuSecond));
    findings.push({
      claim: "CPU per item in a process of its own, squeezenet (7 ms), against inline",
      target: "≤ 1.02×",
      measured: times(cpu),
      met: cpu <= 1.02,
    });
    const rate = await against("mlp", 64, full, perSecond);
    findings.push({
      claim: "throughput in a process of its own, mlp, 64 clients, against inline",
      target: "≥ 0.85×",
      measured: times(rate),
      met: rate >= 0.85,
    });
    for (const [spare, limit] of [
      ["process", 300],
      ["model", 50],
    ] as const) {
      const ms = await recovery(spare);
      findings.push({
        claim: `a crashed model answers again, spare \`${spare}\``,
        target: `< ${limit} ms`,
        measured: `${ms.toFixed(0)} ms`,
        met: ms < limit,
      });
    }
    return findings;
  },
};
