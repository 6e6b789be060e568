/** Fuzzing models: mutants in child processes, a dead child being counted against the mutant that it was at. */
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import type { Trust } from "tenon/onnx";
import { mutantAt } from "./mutate.js";
import { type SeedSet, seedsNamed } from "./seeds.js";

export interface FuzzOptions {
  readonly set: SeedSet;
  readonly seed: number;
  /** How strict preflight is. */
  readonly trust: Trust;
  readonly minutes: number;
  /** Most mutants; default: as many as the time allows. */
  readonly most?: number;
  /** Where mutants are kept that ended or stalled a process. */
  readonly keep: string;
  readonly onProgress: (report: FuzzReport) => void;
}

export interface FuzzReport {
  mutants: number;
  /** Mutants by what became of them; `crashed` and `stalled` ended their process. */
  readonly outcomes: Map<string, number>;
  /** What ended a process: index and signal or exit code. */
  readonly crashes: { readonly index: number; readonly how: string }[];
}

/** Mutants of one child; it starts anew then, so that what it leaks does not count against later ones. */
const CHUNK = 500;
/** A mutant may take this long; the server's deadlines would end it by then. */
const STALLED_MS = 15_000;
/** Address space of a child, in KiB: a memory bomb is to fail there, not to empty the machine. */
const ADDRESS_SPACE = 8 * 1024 * 1024;

const CHILD = resolve(import.meta.dirname, "model-child.js");

export async function fuzzModels(options: FuzzOptions): Promise<FuzzReport> {
  const report: FuzzReport = { mutants: 0, outcomes: new Map(), crashes: [] };
  const seeds = seedsNamed(options.set);
  const most = options.most ?? Number.POSITIVE_INFINITY;
  const until = performance.now() + options.minutes * 60_000;
  for (let next = 0; next < most && performance.now() < until; options.onProgress(report)) {
    const from = next;
    const { last, how } = await runChunk(options, from, Math.min(from + CHUNK, most), until, report);
    next = last + 1;
    if (how === undefined) continue;
    count(report, how === "stalled" ? "stalled" : "crashed");
    if (how !== "stalled") report.crashes.push({ index: last, how });
    mkdirSync(options.keep, { recursive: true });
    writeFileSync(
      join(options.keep, `${options.set}-${options.seed}-${last}.onnx`),
      mutantAt(seeds, options.seed, last),
    );
  }
  return report;
}

function count(report: FuzzReport, outcome: string): void {
  report.mutants++;
  report.outcomes.set(outcome, (report.outcomes.get(outcome) ?? 0) + 1);
}

/** The last mutant that was begun, and how it ended the process if it did. */
async function runChunk(
  { set, seed, trust }: FuzzOptions,
  from: number,
  to: number,
  until: number,
  report: FuzzReport,
): Promise<{ last: number; how: string | undefined }> {
  const limit = process.platform === "linux" ? `ulimit -v ${ADDRESS_SPACE}; ` : "";
  const command = `${limit}exec "$0" "$@"`;
  const args = [CHILD, set, String(seed), trust, String(from), String(to)];
  const child = spawn("bash", ["-c", command, process.execPath, ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let last = from - 1;
  let open = false;
  let how: string | undefined;
  let timer: NodeJS.Timeout | undefined;
  const stop = (reason: string | undefined): void => {
    how = reason;
    child.kill("SIGKILL");
  };
  const ended = new Promise<string>((done) => {
    child.on("close", (code, signal) => done(signal ?? `exit code ${code}`));
  });
  for await (const line of createInterface({ input: child.stdout })) {
    clearTimeout(timer);
    open = line.startsWith("> ");
    if (open) {
      last = Number(line.slice(2));
      timer = setTimeout(() => stop("stalled"), STALLED_MS);
    } else {
      count(report, line);
      if (performance.now() > until) stop(undefined);
    }
  }
  clearTimeout(timer);
  const end = await ended;
  if (how === undefined && end !== "SIGKILL" && end !== "exit code 0") how = open ? end : undefined;
  if (how === undefined && last < from) throw new Error(`the child of the fuzzer ended at once: ${end}`);
  return { last, how };
}
