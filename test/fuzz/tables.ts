/** Damaged Parquet files through every engine: an error of ours or values, never the end of a process, nor a hang. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ParquetOptions, sink } from "tenon/data";
import { tensor } from "tenon/tensor";
import { seededRandom } from "../support/random.js";

export type TableEngine = NonNullable<ParquetOptions["engine"]>;

export interface TableFuzzReport {
  readonly engine: TableEngine;
  readonly mutants: number;
  /** By code, `read`, `died` or `hung`. */
  readonly outcomes: ReadonlyMap<string, number>;
  /** What must not be: deaths, hangs and errors that are not ours, with the number of the mutant. */
  readonly defects: readonly string[];
}

export interface TableFuzzOptions {
  readonly engine: TableEngine;
  readonly mutants: number;
  readonly seed: number;
  /** Folder for the files that ended a process. */
  readonly keep?: string;
}

/** A file that takes longer hangs. */
const HANG_MS = 10_000;
const ROWS = 90;

/** Numbers, nulls, texts, lists and booleans in three row groups. */
async function writeWhole(path: string): Promise<void> {
  await using out = sink.parquet(path, { rowGroup: 30 });
  const every = <T>(make: (i: number) => T): T[] => Array.from({ length: ROWS }, (_, i) => make(i));
  await out.write({
    f: Float32Array.from(every((i) => i / 3)),
    id: BigInt64Array.from(every((i) => BigInt(i) * 1_000_000_007n)),
    n: {
      kind: "fixed",
      dtype: "int32",
      values: Int32Array.from(every((i) => i)),
      valid: Uint8Array.from(every((i) => (i % 5 === 2 ? 0 : 1))),
    },
    text: every((i) => (i % 4 === 0 ? null : `text ${i % 7}`)),
    list: tensor(Float32Array.from(every((i) => [i, -i]).flat()), { shape: [ROWS, 2] }),
    flag: tensor(
      every((i) => i % 3 === 0),
      { shape: [ROWS] },
    ),
  });
  await out.commit();
}

/** One to three bytes changed, every ninth time the end cut off. Half of the changes hit the footer, but its last eight bytes. */
function damagedTable(whole: Uint8Array, random: () => number, number: number): Buffer {
  const below = (bound: number): number => Math.floor(random() * bound);
  const bytes = Buffer.from(number % 9 === 8 ? whole.subarray(0, below(whole.length)) : whole);
  const start = number % 2 === 0 ? 0 : Math.floor(whole.length * 0.6);
  for (let n = 1 + below(3); n > 0 && bytes.length > 12; n--)
    bytes[start + below(Math.max(1, bytes.length - 8 - start))] = below(256);
  return bytes;
}

class Reader {
  readonly #engine: TableEngine;
  #child: ChildProcess | undefined;

  constructor(engine: TableEngine) {
    this.#engine = engine;
  }

  /** What became of a file; a process that died or hung is replaced. */
  async read(path: string): Promise<string> {
    this.#child ??= await started(this.#engine);
    const child = this.#child;
    child.send(path);
    const came = await next(child, HANG_MS);
    if (came === "died" || came === "hung") {
      child.kill("SIGKILL");
      this.#child = undefined;
    }
    return came;
  }

  close(): void {
    this.#child?.kill("SIGKILL");
  }
}

async function started(engine: TableEngine): Promise<ChildProcess> {
  const child = fork(join(import.meta.dirname, "table-child.js"), [engine], {
    stdio: ["ignore", "ignore", "ignore", "ipc"],
  });
  const came = await next(child, 60_000);
  if (came !== "ready") throw new Error(`the process of ${engine} ${came}`);
  return child;
}

function next(child: ChildProcess, limitMs: number): Promise<string> {
  return new Promise((resolve) => {
    const end = (came: string): void => {
      clearTimeout(timer);
      child.removeListener("message", end as (message: unknown) => void);
      child.removeListener("exit", died);
      resolve(came);
    };
    const died = (): void => end("died");
    const timer = setTimeout(() => end("hung"), limitMs);
    child.once("message", end as (message: unknown) => void); // texts of table-child.ts
    child.once("exit", died);
  });
}

export async function fuzzTables({
  engine,
  mutants,
  seed,
  keep,
}: TableFuzzOptions): Promise<TableFuzzReport> {
  const folder = mkdtempSync(join(tmpdir(), "tenon-fuzz-tables-"));
  const outcomes = new Map<string, number>();
  const defects: string[] = [];
  const reader = new Reader(engine);
  try {
    const path = join(folder, "x.parquet");
    await writeWhole(path);
    const whole = readFileSync(path);
    const random = seededRandom(seed);
    for (let number = 0; number < mutants; number++) {
      const bytes = damagedTable(whole, random, number);
      writeFileSync(path, bytes);
      const came = await reader.read(path);
      const outcome = came.startsWith("defect") ? "defect" : came;
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (outcome !== "read" && outcome !== "FILE_INVALID") {
        defects.push(`${engine}, mutant ${number}: ${came}`);
        if (keep !== undefined) {
          mkdirSync(keep, { recursive: true });
          writeFileSync(join(keep, `table-${engine}-${seed}-${number}.parquet`), bytes);
        }
      }
    }
  } finally {
    reader.close();
    rmSync(folder, { recursive: true });
  }
  return { engine, mutants, outcomes, defects };
}
