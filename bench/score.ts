/**
 * `tenon score` on a small network over a large table, against a Python script with polars and ONNX Runtime; and its own
 * overlap, resume, workers and memory. CPU time is what to trust on a busy machine.
 * Usage: TENON_PYTHON=… node build/bench/score.js [--rows N] [--rounds R] [--widths 64,32] [side …]; the Python needs polars and
 * onnxruntime. Wide layers (512,512) make the work that of the model.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { formatCount } from "tenon/base";
import { type Position, parquet, sink } from "tenon/data";
import { graph, writeModel } from "tenon/onnx";
import { tensorFromStorage } from "tenon/tensor";
import { randomFloats, seededRandom } from "../test/support/random.js";
import { machineLine } from "./harness/machine.js";
import { median } from "./harness/statistics.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rows: { type: "string", default: "2000000" },
    rounds: { type: "string", default: "3" },
    widths: { type: "string", default: "64,32" },
  },
});
const ROWS = Number(values.rows);
const ROUNDS = Number(values.rounds);
const COLUMNS = 16;
const BATCH = 4096;
const MAIN = join(import.meta.dirname, "../../dist/cli/main.cjs");
const PEER = join(import.meta.dirname, "../../bench/peers/score_polars.py");

const folder = mkdtempSync(join(tmpdir(), "tenon-bench-score-"));
const at = (name: string): string => join(folder, name);

/** x [n, 16] → 64 → 32 (or other widths) → score [n, 1]. */
function network(): Uint8Array {
  const random = seededRandom(1);
  const g = graph({ opset: 17, name: "mlp" });
  let x = g.input("x", "float32", ["n", COLUMNS]);
  const widths = [COLUMNS, ...values.widths.split(",").map(Number), 1];
  for (let i = 1; i < widths.length; i++) {
    const [from, to] = [widths[i - 1]!, widths[i]!];
    const weight = tensorFromStorage(
      "float32",
      [from, to],
      randomFloats(from * to, 1 / Math.sqrt(from), random),
    );
    const bias = tensorFromStorage("float32", [to], randomFloats(to, 0.1, random));
    const sum = g.add("Gemm", [x, g.initializer(`w${i}`, weight), g.initializer(`b${i}`, bias)]);
    x = i < widths.length - 1 ? g.add("Relu", [sum]) : sum;
  }
  g.output(x, "score");
  return writeModel(g.model());
}

async function writeTable(rows: number): Promise<void> {
  const random = seededRandom(2);
  await using out = sink.parquet(at("in.parquet"), { rowGroup: 122_880 });
  for (let from = 0; from < rows; from += 122_880) {
    const count = Math.min(122_880, rows - from);
    const columns = Array.from(
      { length: COLUMNS },
      (_, i) => [`f${i}`, randomFloats(count, 1, random)] as const,
    );
    const id = BigInt64Array.from({ length: count }, (_, i) => BigInt(from + i));
    await out.write({ id, ...Object.fromEntries(columns) });
  }
  await out.commit();
}

interface Cost {
  readonly wall: number;
  /** Seconds of CPU of the process and all that it has waited for. */
  readonly cpu: number;
  readonly megabytes: number;
  readonly stdout: string;
}

/** Runs a program under GNU time, which sees its children too. */
async function measured(program: string, args: readonly string[]): Promise<Cost> {
  const child = spawn("/usr/bin/time", ["-f", "%e %U %S %M", "-o", at("time"), program, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, TENON_PYTHON: undefined, TENON_CACHE: at("cache") },
  });
  let stdout = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    stdout += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  if (code !== 0) throw new Error(`${program} ${args.join(" ")} ended with ${code}`);
  const [wall, user, system, kilobytes] = readFileSync(at("time"), "utf8").trim().split(" ").map(Number);
  return { wall: wall!, cpu: user! + system!, megabytes: kilobytes! / 1000, stdout };
}

function scored(...args: readonly string[]): Promise<Cost> {
  rmSync(at("out"), { recursive: true, force: true });
  const job = [
    "score",
    at("model.onnx"),
    "--input",
    at("in.parquet"),
    "--output",
    at("out"),
    "--map",
    "x=f0..f15",
  ];
  const rest = ["--batch", String(BATCH), "--isolation", "inline", "--json", ...args];
  return measured(process.execPath, [MAIN, ...job, ...rest]);
}

function byHand(python: string): Promise<Cost> {
  rmSync(at("by-hand"), { recursive: true, force: true });
  return measured(python, [PEER, at("model.onnx"), at("in.parquet"), at("by-hand"), String(BATCH)]);
}

const middle = (costs: readonly Cost[], of: "wall" | "cpu" | "megabytes"): number =>
  median(costs.map((cost) => cost[of]));
const shown = (name: string, costs: readonly Cost[]): string =>
  `${name.padEnd(28)} ${middle(costs, "wall").toFixed(2).padStart(7)} s  ${middle(costs, "cpu").toFixed(2).padStart(7)} CPU s  ${middle(costs, "megabytes").toFixed(0).padStart(5)} MB  ${((1e9 * middle(costs, "cpu")) / ROWS).toFixed(0).padStart(5)} CPU ns/row`;

try {
  writeFileSync(at("model.onnx"), network());
  await writeTable(ROWS);
  console.log(`${machineLine()}; ${formatCount(ROWS)} rows, medians of ${ROUNDS} rounds in turn`);
  const python = process.env.TENON_PYTHON;
  const sides: Record<string, () => Promise<Cost>> = {
    "tenon score": () => scored(),
    "tenon score --workers 1": () => scored("--workers", "1", "--lanes", "1", "--rows-per-shard", "250k"),
    "tenon score --workers 3": () => scored("--workers", "3", "--lanes", "1", "--rows-per-shard", "250k"),
    ...(python === undefined ? {} : { "polars + onnxruntime": () => byHand(python) }),
  };
  const chosen = Object.entries(sides).filter(
    ([name]) => positionals.length === 0 || positionals.some((part) => name.includes(part)),
  );
  const costs: Record<string, Cost[]> = Object.fromEntries(chosen.map(([name]) => [name, []]));
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, run] of chosen) costs[name]!.push(await run());
  for (const [name, found] of Object.entries(costs)) console.log(shown(name, found));
  const [ours, theirs] = [costs["tenon score"], costs["polars + onnxruntime"]];
  if (ours !== undefined && theirs !== undefined) {
    console.log(
      `speed of the script            ${(middle(theirs, "wall") / middle(ours, "wall")).toFixed(2)}x by wall, ${(middle(theirs, "cpu") / middle(ours, "cpu")).toFixed(2)}x by CPU (target 1.0)`,
    );
    console.log(
      `memory of the script           ${(middle(ours, "megabytes") / middle(theirs, "megabytes")).toFixed(2)}x (target below 1)`,
    );
  }
  const [one, three] = [costs["tenon score --workers 1"], costs["tenon score --workers 3"]];
  if (one !== undefined && three !== undefined)
    console.log(
      `3 workers, per worker by CPU   ${(middle(one, "cpu") / middle(three, "cpu")).toFixed(2)} (target 0.9)`,
    );
  if (positionals.length === 0) await ownTimes();
} finally {
  if (existsSync(folder)) rmSync(folder, { recursive: true });
}

async function ownTimes(): Promise<void> {
  console.log(
    `overlap                        ${(await overlap()).toFixed(2)}x max(load, compute) (target 1.25)`,
  );
  console.log(
    `resume                         ${(await resume()).toFixed(0)} ms to the first batch (target 60)`,
  );
}

/** Wall time of reading with a wait of 2 ms per batch beside it, over the larger of both alone. */
async function overlap(): Promise<number> {
  const rows = parquet(at("in.parquet")).batch(4096).prefetch(4);
  const names = Array.from({ length: COLUMNS }, (_, i) => `f${i}`);
  const read = rows.select(...names);
  let batches = 0;
  const clock = async (work: () => Promise<void>): Promise<number> => {
    const start = performance.now();
    await work();
    return performance.now() - start;
  };
  const wait = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 2));
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    batches = 0;
    const load = await clock(async () => {
      for await (const _ of read) batches++;
    });
    const compute = await clock(async () => {
      for (let i = 0; i < batches; i++) await wait();
    });
    const both = await clock(async () => {
      for await (const _ of read) await wait();
    });
    ratios.push(both / Math.max(load, compute));
  }
  return median(ratios);
}

/** Milliseconds from `iterate({ from })` in the middle of the table to its first batch. */
async function resume(): Promise<number> {
  const rows = parquet(at("in.parquet")).batch(4096);
  let from: Position | undefined;
  let seen = 0;
  for await (const batch of rows) {
    from = batch.next;
    seen += batch.rows;
    if (seen > ROWS / 2) break;
  }
  const times: number[] = [];
  for (let round = 0; round < 10; round++) {
    const start = performance.now();
    await using again = rows.iterate(from === undefined ? {} : { from });
    await again.next();
    times.push(performance.now() - start);
  }
  return median(times);
}
