/**
 * `tenon serve` against other servers of models, in turn, under the same load: requests/s, CPU time a request, p99, time
 * to start, memory.
 * Usage: bash scripts/serving-peers.sh; node build/bench/serving.js [--rounds R] [--seconds S] [--peers FOLDER] [--model mlp|squeezenet|encoder] [--format json|binary] [--clients N] [--open SHARE] [name part …]
 * With `--open 0.7` requests then arrive at 0.7 of the best peer's rate whether or not earlier ones are answered.
 * Peers that are not set up, or do not start, are left out and named.
 */
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { ModelName } from "../test/support/models.js";
import { type Effort, perSecond, value } from "./harness/bench.js";
import { type HttpLoad, httpRounds, withClient } from "./harness/http-rounds.js";
import { machineLine } from "./harness/machine.js";
import { modelFile } from "./harness/model-files.js";
import type { RequestFormat } from "./harness/requests.js";
import type { Sample } from "./harness/side.js";
import { type RunningSide, type StartOptions, startSide } from "./harness/start-side.js";
import { MODEL_SERVERS } from "./peers/model-servers.js";
import { SERVERS } from "./peers/servers.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "2" },
    peers: {
      type: "string",
      default: join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "tenon/peers"),
    },
    model: { type: "string", default: "mlp" },
    format: { type: "string", default: "json" },
    clients: { type: "string", default: "32" },
    open: { type: "string" },
  },
});
const home = values.peers;
const model = values.model as ModelName;
const format = values.format as RequestFormat;
const WORKERS = 2;

interface Contestant extends StartOptions {
  readonly module: string;
  readonly side: string;
  /** The environment that it needs. */
  readonly needs?: string;
  /** Takes only the small model, and only JSON. */
  readonly jsonOnly?: true;
}

const file = await modelFile(model);
const command = { module: MODEL_SERVERS, side: "tenon" };
const python = (server: string): Contestant => ({
  module: MODEL_SERVERS,
  side: "python",
  settings: { model, file, home, server, workers: WORKERS },
  needs: server,
  jsonOnly: true,
});

/** As long as an answer of the small model. */
const TEN_NUMBERS = JSON.stringify({
  model_name: "mlp",
  model_version: "1",
  outputs: [{ name: "y", datatype: "FP32", shape: [1, 10], data: new Array(10).fill(0.12345678) }],
});

const CONTESTANTS: Readonly<Record<string, Contestant>> = {
  tenon: { ...command, settings: { model, file, isolation: "process" } },
  "tenon (inline)": { ...command, settings: { model, file, isolation: "inline" } },
  "fastify cluster": { module: SERVERS, side: "clustered", settings: { model, file, processes: WORKERS } },
  "node:http alone": { module: SERVERS, side: "bare", settings: { answer: TEN_NUMBERS } },
  mosec: python("mosec"),
  litserve: python("litserve"),
  bentoml: python("bentoml"),
  mlserver: python("mlserver"),
  triton: {
    module: MODEL_SERVERS,
    side: "triton",
    settings: { model, file, home, workers: WORKERS },
    needs: "triton",
  },
};

const onlySmallJson = model !== "mlp" || format !== "json";
const team: Record<string, RunningSide> = {};
try {
  for (const [name, { module, side, needs, jsonOnly, ...options }] of Object.entries(CONTESTANTS)) {
    if (positionals.length > 0 && !positionals.some((part) => name.includes(part))) continue;
    if (jsonOnly && onlySmallJson) continue;
    if (needs !== undefined && !existsSync(join(home, needs, "ready"))) {
      console.log(`${name}: left out, it is not set up in ${home}`);
      continue;
    }
    try {
      team[name] = await startSide(module, side, options);
    } catch (error) {
      console.log(`${name}: left out, it does not start: ${String(error).slice(0, 600)}`);
    }
  }
  const load = { model, format, clients: Number(values.clients) };
  const effort = { seconds: Number(values.seconds), rounds: Number(values.rounds), tries: 1, share: 1 };
  await withClient(async (client) => {
    const samples = await httpRounds(client, team, load, effort);
    print(samples);
    if (values.open !== undefined)
      printOpen(...(await openLoop(client, samples, load, effort, Number(values.open))));
  });
} finally {
  await Promise.all(Object.values(team).map((side) => side.close()));
}

function isOurs(name: string): boolean {
  return name.startsWith("tenon");
}

function isPeer(name: string): boolean {
  return !isOurs(name) && name !== "node:http alone";
}

/** Ours and the peer with the highest rate in the closed loop, at `share` of that rate; the peer's name is first. */
async function openLoop(
  client: RunningSide,
  closed: Readonly<Record<string, Sample>>,
  load: HttpLoad,
  effort: Effort,
  share: number,
): Promise<[string, number, Readonly<Record<string, Sample>>]> {
  const names = Object.keys(closed);
  const peers = names.filter(isPeer);
  if (peers.length === 0) throw new Error("--open needs a peer: name one beside tenon, or none at all");
  const best = peers.reduce((a, b) => (perSecond(closed[a]!) >= perSecond(closed[b]!) ? a : b));
  const rate = share * perSecond(closed[best]!);
  const those = names.filter((name) => isOurs(name) || name === best).map((name) => [name, team[name]!]);
  return [best, rate, await httpRounds(client, Object.fromEntries(those), { ...load, rate }, effort)];
}

function printOpen(best: string, rate: number, samples: Readonly<Record<string, Sample>>): void {
  console.log(`open loop, ${Math.round(rate)} requests/s arrive (${values.open} of what ${best} reaches)`);
  const p99 = value(samples[best]!, "p99Ms");
  console.table(
    Object.entries(samples).map(([name, sample]) => ({
      server: name,
      "p50 ms": value(sample, "p50Ms").toFixed(2),
      "p99 ms": value(sample, "p99Ms").toFixed(2),
      [`p99 against ${best}`]: `${(value(sample, "p99Ms") / p99).toFixed(2)}×`,
      "CPU µs/request": Math.round((1000 * value(sample, "cpuMs")) / value(sample, "items")),
    })),
  );
}

function print(samples: Readonly<Record<string, Sample>>): void {
  console.log(
    `${model}, ${format}, ${values.clients} clients, medians of ${values.rounds} rounds of ${values.seconds} s in turn`,
  );
  console.log(machineLine());
  const first = Object.keys(samples)[0]!;
  const cpuOf = (sample: Sample): number => value(sample, "cpuMs") / value(sample, "items");
  const rows = Object.entries(samples).map(([name, sample]) => {
    const { facts } = team[name]!;
    const own = samples[first]!;
    return {
      server: name,
      "requests/s": Math.round(perSecond(sample)),
      [`${first} is`]: `${(perSecond(own) / perSecond(sample)).toFixed(2)}×`,
      "CPU µs/request": Math.round(1000 * cpuOf(sample)),
      [`${first} takes`]: `${(cpuOf(own) / cpuOf(sample)).toFixed(2)}×`,
      "p99 ms": value(sample, "p99Ms").toFixed(2),
      "ready ms": facts.readyMs === undefined ? "" : Math.round(facts.readyMs),
      "idle MB": facts.idleMb === undefined ? "" : Math.round(facts.idleMb),
      foreign: `${Math.round(100 * (sample.foreign ?? 0))} %`,
    };
  });
  console.table(rows);
}
