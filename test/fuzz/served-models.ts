/** Fuzzing models through the server: mutants are loaded into a running `tenon serve`, asked, and replaced by the next. */
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstLine, startCli } from "../support/cli.js";
import { simpleModel, simpleRequest } from "../support/served.js";
import { mutantAt } from "./mutate.js";
import { type SeedSet, seedsNamed } from "./seeds.js";

export interface ServedFuzzOptions {
  readonly set: SeedSet;
  readonly seed: number;
  readonly minutes: number;
  readonly most: number;
  /** Where the server runs models. */
  readonly isolation: "process" | "group";
  readonly onProgress?: (report: ServedFuzzReport) => void;
}

export interface ServedFuzzReport {
  mutants: number;
  /** What became of them: the code that refused the load or the request, or `ran`. */
  readonly outcomes: Map<string, number>;
  /** What must not happen: another server process, an error that is none of ours, a healthy model that does not answer. */
  readonly defects: string[];
  /** Milliseconds of the slowest request to the healthy model. */
  slowestMs: number;
}

/** Mutants that are tried side by side. */
const CLIENTS = 2;
const CONTROL_EVERY = 25;
/** The server's own limits end everything long before. */
const HANG_MS = 180_000;
/** For every dimension that the model leaves open. */
const SIZE = 2;
const LARGEST = 10_000;

/** Runs it on a server of its own. The same seed makes the same mutants. */
export async function fuzzServedModels(options: ServedFuzzOptions): Promise<ServedFuzzReport> {
  const report: ServedFuzzReport = { mutants: 0, outcomes: new Map(), defects: [], slowestMs: 0 };
  const folder = mkdtempSync(join(tmpdir(), "tenon-served-"));
  const models = join(folder, "models");
  mkdirSync(models);
  writeFileSync(join(models, "healthy.onnx"), simpleModel());
  const env = {
    TENON_CACHE: "off",
    TENON_HTTP_PORT: "0",
    TENON_RUN_DEADLINE: "10s",
    TENON_LOAD_TIMEOUT: "60s",
    TENON_CRASH_STRIKES: "off",
  };
  const control = [
    "--model-control",
    "explicit",
    "--load-model",
    "healthy",
    "--isolation",
    options.isolation,
  ];
  const child = startCli(["serve", models, "--json", ...control], { cwd: folder, env, timeout: 0 });
  const alive = (): boolean => child.exitCode === null && child.signalCode === null;
  try {
    const { url } = JSON.parse(await firstLine(child)) as { url: string };
    const seeds = seedsNamed(options.set);
    const end = performance.now() + options.minutes * 60_000;
    let next = 0;
    const client = async (slot: number): Promise<void> => {
      while (next < options.most && performance.now() < end && alive() && report.defects.length < 20) {
        const index = next++;
        writeFileSync(join(models, `m${slot}.onnx`), mutantAt(seeds, options.seed, index));
        const outcome = await outcomeOf(url, `m${slot}`).catch((error: unknown) => `no answer: ${error}`);
        if (/INTERNAL|no answer/.test(outcome)) report.defects.push(`mutant ${index}: ${outcome}`);
        report.outcomes.set(outcome, (report.outcomes.get(outcome) ?? 0) + 1);
        report.mutants++;
        if (index % CONTROL_EVERY === 0) await checkHealthy(url, index, report);
        if (index % 500 === 499) options.onProgress?.(report);
      }
    };
    await Promise.all(Array.from({ length: CLIENTS }, (_, slot) => client(slot)));
    await checkHealthy(url, next, report);
    if (!alive()) report.defects.push("the server ended");
    child.kill("SIGTERM");
    const [code] = (await once(child, "close")) as [number | null];
    if (code !== 0) report.defects.push(`the server ended with ${code}`);
    return report;
  } finally {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true });
  }
}

function ask(url: string, body?: string): Promise<Response> {
  const signal = AbortSignal.timeout(HANG_MS);
  return fetch(url, body === undefined ? { signal } : { method: "POST", body, signal });
}

async function codeOf(answer: Response): Promise<string> {
  await answer.arrayBuffer();
  return `${answer.status} ${answer.headers.get("x-tenon-error") ?? ""}`;
}

/** Loads a slot's file and asks it once. */
async function outcomeOf(url: string, name: string): Promise<string> {
  const loaded = await ask(`${url}/v2/repository/models/${name}/load`, "");
  if (loaded.status !== 200) return `load ${await codeOf(loaded)}`;
  await loaded.arrayBuffer();
  const described = await ask(`${url}/v2/models/${name}`);
  if (described.status !== 200) return `described ${await codeOf(described)}`;
  const { inputs } = (await described.json()) as { inputs: Described[] };
  const sent = inputs.map(requestOf);
  if (sent.includes(undefined)) return "loaded, not asked";
  const answer = await ask(`${url}/v2/models/${name}/infer`, JSON.stringify({ inputs: sent }));
  return answer.status === 200
    ? `ran${(await codeOf(answer)).slice(3).trimEnd()}`
    : `run ${await codeOf(answer)}`;
}

interface Described {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
}

/** Ones of the shape that the model declares; undefined for what JSON does not carry, or too much of it. */
function requestOf({ name, datatype, shape: declared }: Described): object | undefined {
  const shape = declared.map((dim) => (dim < 0 ? SIZE : dim));
  const elements = shape.reduce((product, dim) => product * dim, 1);
  if (elements > LARGEST || datatype === "FP16" || datatype === "BF16") return undefined;
  const value = datatype === "BYTES" ? "a" : datatype === "BOOL" ? true : 1;
  return { name, datatype, shape, data: new Array<typeof value>(elements).fill(value) };
}

async function checkHealthy(url: string, index: number, report: ServedFuzzReport): Promise<void> {
  const since = performance.now();
  try {
    const answer = await ask(`${url}/v2/models/healthy/infer`, simpleRequest(index % 50));
    const { outputs } = (await answer.json()) as { outputs?: { data: number[] }[] };
    if (outputs?.[0]?.data[1] !== (index % 50) + 2)
      report.defects.push(`the healthy model was not served after ${index}: ${answer.status}`);
  } catch (error) {
    report.defects.push(`the healthy model was not served after ${index}: ${error}`);
  }
  report.slowestMs = Math.max(report.slowestMs, performance.now() - since);
}
