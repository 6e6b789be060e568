/**
 * Parquet of 16 float32 columns into `[4096, 16]` against Python's readers, in turn: CPU time per row, rows a second, ratio.
 * Usage: TENON_PYTHON=… node build/bench/data.js [--rows N] [--rounds R] [reader …]
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { pack, parquet } from "tenon/data";
import { machineLine } from "./harness/machine.js";
import { median } from "./harness/statistics.js";

interface Pass {
  /** Nanoseconds of CPU time per row. */
  readonly cpu: number;
  /** Millions of rows a second. */
  readonly speed: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { rows: { type: "string", default: "2000000" }, rounds: { type: "string", default: "5" } },
});
const python = process.env.TENON_PYTHON;
if (!python) throw new Error("TENON_PYTHON names no Python with pyarrow, torch, datasets and polars");
const folder = mkdtempSync(join(tmpdir(), "tenon-bench-data-"));
const path = join(folder, "x.parquet");
const names = Array.from({ length: 16 }, (_, i) => `f${i}`);

async function ours(shuffled: boolean): Promise<Pass> {
  const plain = parquet(path)
    .tensors({ x: pack(names, "float32") })
    .batch(4096);
  const dataset = shuffled ? plain.shuffle({ seed: 7 }) : plain;
  const [start, used] = [performance.now(), process.cpuUsage()];
  let rows = 0;
  let sum = 0;
  for await (const batch of dataset) {
    rows += batch.rows;
    sum += batch.data.x.data[0]!;
    batch.release();
  }
  const { user, system } = process.cpuUsage(used);
  if (rows !== Number(values.rows) || Number.isNaN(sum)) throw new Error(`${rows} rows were read`);
  return { cpu: (1000 * (user + system)) / rows, speed: rows / (performance.now() - start) / 1000 };
}

const peer = spawn(
  python,
  [join(import.meta.dirname, "../../bench/peers/data_readers.py"), path, values.rows],
  {
    stdio: ["pipe", "pipe", "inherit"],
    env: {
      ...process.env,
      OMP_NUM_THREADS: "1",
      POLARS_MAX_THREADS: "1",
      HF_HUB_OFFLINE: "1",
      HF_HOME: folder,
    },
  },
);
const lines = createInterface(peer.stdout)[Symbol.asyncIterator]();

async function nextLine(): Promise<string> {
  const { value, done } = await lines.next();
  if (done === true) throw new Error("Python's process ended");
  return value;
}

async function theirs(reader: string): Promise<Pass> {
  peer.stdin.write(`${reader}\n`);
  const [rows, cpu, wall] = (await nextLine()).split(" ").map(Number) as [number, number, number];
  if (rows !== Number(values.rows)) throw new Error(`${reader} read ${rows} rows`);
  return { cpu: (1e9 * cpu) / rows, speed: rows / wall / 1e6 };
}

const sides: Record<string, () => Promise<Pass>> = {
  tenon: () => ours(false),
  "tenon, shuffled": () => ours(true),
};

try {
  const [version, ...readers] = (await nextLine()).split(" ");
  console.log(`${machineLine()}, pyarrow ${version}, ${values.rows} rows`);
  for (const reader of readers) sides[reader] = () => theirs(reader);
  const chosen = Object.entries(sides).filter(
    ([name]) =>
      positionals.length === 0 || name === "tenon" || positionals.some((part) => name.includes(part)),
  );
  const passes = new Map<string, Pass[]>(chosen.map(([name]) => [name, []]));
  for (let round = 0; round <= Number(values.rounds); round++)
    for (const [name, run] of chosen) {
      const pass = await run();
      if (round > 0) passes.get(name)!.push(pass); // the first one loads code
    }
  const cpuOf = (name: string): number => median(passes.get(name)!.map(({ cpu }) => cpu));
  console.log("reader                CPU ns/row   M rows/s   CPU of tenon / of it   speed of tenon / of it");
  for (const [name, found] of passes) {
    const speed = median(found.map((pass) => pass.speed));
    const ratio = median(passes.get("tenon")!.map(({ cpu }, i) => cpu / found[i]!.cpu));
    const faster = median(passes.get("tenon")!.map((pass, i) => pass.speed / found[i]!.speed));
    console.log(
      `${name.padEnd(21)} ${cpuOf(name).toFixed(0).padStart(10)} ${speed.toFixed(2).padStart(10)}   ${`${ratio.toFixed(2)}×`.padStart(20)} ${`${faster.toFixed(2)}×`.padStart(24)}`,
    );
  }
} finally {
  peer.stdin.end();
  await once(peer, "close");
  rmSync(folder, { recursive: true });
}
