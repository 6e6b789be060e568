/** What another model feels of an attack: its latency beside hostile models, and beside a healthy one under the same load. */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "../../bench/harness/statistics.js";
import { ATTACKS, type Attack, RUN_ATTACKS, type RunAttack } from "../attacks/corpus.js";
import { firstLine, startCli } from "../support/cli.js";
import { simpleModel, simpleRequest, slowModel } from "../support/served.js";

export interface BesideOptions {
  /** Every neighbour has its turn so often, for so many seconds. */
  readonly rounds: number;
  readonly seconds: number;
}

/** A neighbour of the model that is measured, and what was seen. */
export interface BesideRow {
  readonly name: string;
  /** The neighbour whose load is the same but for the harm. */
  readonly against: string;
  /** Answers to the neighbour's requests by status. */
  readonly statuses: Map<string, number>;
  /** Milliseconds of the measured model's answers. */
  readonly milliseconds: number[];
}

export interface BesideReport {
  readonly rows: BesideRow[];
  /** What must not happen: a wrong value, a status that is not the attack's, another server process. */
  readonly defects: string[];
}

/** Sends one request; the status. */
type Neighbour = (url: string, turn: number) => Promise<number>;

/** Models that load, in many seconds. */
const SLOW: ReadonlySet<string> = new Set<keyof typeof ATTACKS>(["chain-100k", "chain-20k-mul"]);
const CLIENTS = 2;
const PAUSE_MS = 5;
const SIDE = 256;

/** The statuses that a request may get whose run does this harm. */
const HARM_STATUS: Readonly<Record<RunAttack["harm"], readonly number[]>> = {
  // No process for a moment, or for longer than a request may wait, are answers too.
  crash: [500, 503, 504],
  endless: [504, 503],
  memory: [500, 503],
};

/** Runs all neighbours in turn on one server. */
export async function beside({ rounds, seconds }: BesideOptions): Promise<BesideReport> {
  const folder = mkdtempSync(join(tmpdir(), "tenon-beside-"));
  const models = join(folder, "models");
  mkdirSync(models);
  const files = Object.entries<Attack>(ATTACKS).filter(([name]) => !SLOW.has(name));
  const runs = Object.entries<RunAttack>(RUN_ATTACKS);
  for (const [name, { make }] of [...files, ...runs]) writeFileSync(join(models, `${name}.onnx`), make());
  writeFileSync(join(models, "simple.onnx"), simpleModel());
  writeFileSync(join(models, "busy.onnx"), slowModel(20));
  const env = { TENON_CACHE: "off", TENON_HTTP_PORT: "0", TENON_RUN_DEADLINE: "5s" };
  const start = ["simple", "busy", ...runs.map(([name]) => name)].join(",");
  const control = ["--model-control", "explicit", "--load-model", start, "--warmup", "off"];
  const args = ["serve", models, "--json", "--crash-strikes", "off", ...control];
  const child = startCli(args, { cwd: folder, env, timeout: 0 });
  const report: BesideReport = { rows: [], defects: [] };
  try {
    const { url } = JSON.parse(await firstLine(child)) as { url: string };
    const turns: {
      readonly row: BesideRow;
      readonly neighbour: Neighbour;
      readonly allowed: readonly number[];
    }[] = [];
    const add = (name: string, against: string, neighbour: Neighbour, allowed: readonly number[]): void => {
      turns.push({ row: { name, against, statuses: new Map(), milliseconds: [] }, neighbour, allowed });
    };
    add("busy", "busy", busy, [200]);
    for (const [name, attack] of runs) add(name, "busy", attacker(name, attack), HARM_STATUS[attack.harm]);
    const healthy = "loads of healthy files";
    add(healthy, healthy, (at, turn) => loadChanged(at, models, turn), [200]);
    const refused = files.filter(([, { outcome }]) => outcome !== "loads").map(([name]) => name);
    add(
      `loads of ${refused.length} hostile files`,
      healthy,
      (at, turn) => load(at, refused[turn % refused.length]!),
      [400, 501],
    );
    report.rows.push(...turns.map(({ row }) => row));
    const alive = (): boolean => child.exitCode === null && child.signalCode === null;
    let turn = 0;
    for (let round = 0; round < rounds; round++) {
      for (const { row, neighbour, allowed } of turns) {
        const end = performance.now() + seconds * 1000;
        const neighbours = Array.from({ length: CLIENTS }, async () => {
          do {
            const status = await neighbour(url, turn++);
            row.statuses.set(String(status), (row.statuses.get(String(status)) ?? 0) + 1);
            if (!allowed.includes(status)) report.defects.push(`${row.name}: status ${status}`);
          } while (performance.now() < end);
        });
        const measured = Array.from({ length: CLIENTS }, async (_, client) => {
          do {
            const since = performance.now();
            if (!(await isServed(url, client))) report.defects.push(`beside ${row.name}: not served`);
            row.milliseconds.push(performance.now() - since);
            await sleep(PAUSE_MS);
          } while (performance.now() < end);
        });
        await Promise.all([...neighbours, ...measured]);
        if (!alive()) throw new Error(`the server ended beside ${row.name}`);
      }
    }
    child.kill("SIGTERM");
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) report.defects.push(`the server ended with ${code}`);
    return report;
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
}

/** The 99th percentile of a row's milliseconds as a multiple of that beside its healthy counterpart. */
export function slowdown(row: BesideRow, { rows }: BesideReport): number {
  const healthy = rows.find(({ name }) => name === row.against)!;
  return percentile(row.milliseconds, 0.99) / percentile(healthy.milliseconds, 0.99);
}

async function post(url: string, body: string): Promise<Response> {
  return fetch(url, { method: "POST", body });
}

async function statusOf(url: string, body: string): Promise<number> {
  const answer = await post(url, body);
  await answer.arrayBuffer();
  return answer.status;
}

async function isServed(url: string, start: number): Promise<boolean> {
  const answer = await post(`${url}/v2/models/simple/infer`, simpleRequest(start));
  const { outputs } = (await answer.json()) as { outputs?: { data: number[] }[] };
  return answer.status === 200 && outputs?.[0]?.data[1] === start + 2;
}

const BUSY = JSON.stringify({
  inputs: [
    { name: "x", datatype: "FP32", shape: [SIDE, SIDE], data: new Array<number>(SIDE * SIDE).fill(0) },
  ],
  parameters: { binary_data_output: true },
});

const busy: Neighbour = (url) => statusOf(`${url}/v2/models/busy/infer`, BUSY);

/** A healthy file of other content each time: that of the last load would be served from the same process. */
function loadChanged(url: string, models: string, turn: number): Promise<number> {
  const name = `changed-${turn % CLIENTS ** 2}`;
  writeFileSync(join(models, `${name}.onnx`), slowModel(20 + (turn % 1000)));
  return load(url, name);
}

const load = (url: string, name: string): Promise<number> =>
  statusOf(`${url}/v2/repository/models/${name}/load`, "");

/**
 * Rows of other values behind the one that does the harm make each turn's input another: the same would be refused.
 * At most two, since processors divide four at once without harm.
 */
function attacker(name: string, { harm, inputs }: RunAttack): Neighbour {
  return (url, turn) => {
    const sent = harm !== "crash" ? inputs : inputs.map((input) => withRows(input, 1 + (turn % 2), turn));
    return statusOf(`${url}/v2/models/${name}/infer`, JSON.stringify({ inputs: sent }));
  };
}

type Input = RunAttack["inputs"][number];

function withRows(input: Input, more: number, value: number): Input {
  const rows = new Array<number>(more).fill(1 + value);
  return { ...input, shape: [1 + more, ...input.shape.slice(1)], data: [...input.data, ...rows] };
}
