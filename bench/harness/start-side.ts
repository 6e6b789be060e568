/** Starts a side in its own process and talks to it. */
import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { COMPILED } from "./model-files.js";
import type { FromSide, Sample, Settings, ToSide } from "./side.js";

const ENTRY = join(import.meta.dirname, "side-process.js");

/** A side that runs in another process. */
export interface RunningSide {
  readonly name: string;
  readonly pid: number;
  readonly facts: Sample;
  /** From the start of the process until the side was ready. */
  readonly readyMs: number;
  measure(settings?: Settings): Promise<Sample>;
  close(): Promise<void>;
}

export interface StartOptions {
  readonly settings?: Settings;
  /** Flags of node, such as `--expose-gc`. */
  readonly flags?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Runs the side `name` that the module at `moduleUrl` exports under `sides`. */
export async function startSide(
  moduleUrl: string,
  name: string,
  options: StartOptions = {},
): Promise<RunningSide> {
  const start = performance.now();
  const child = fork(ENTRY, [moduleUrl, name, JSON.stringify(options.settings ?? {})], {
    execArgv: [...(options.flags ?? []), ...profileFlags(name)],
    env: { ...process.env, TENON_CACHE: COMPILED, ...options.env },
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  const ready = await answer(child, name);
  if (ready.kind !== "ready") throw new Error(`side "${name}" answered ${ready.kind} when it started`);
  const ask = async (message: ToSide): Promise<FromSide> => {
    const answered = answer(child, name);
    child.send(message);
    return answered;
  };
  return {
    name,
    pid: child.pid!,
    facts: ready.facts,
    readyMs: performance.now() - start,
    async measure(settings = {}) {
      const message = await ask({ kind: "measure", settings });
      if (message.kind !== "sample") throw new Error(`side "${name}" answered ${message.kind}`);
      return message.sample;
    },
    close() {
      return stop(child);
    },
  };
}

/** With BENCH_PROFILE set to a folder, every side whose name matches BENCH_PROFILE_SIDE writes a CPU profile there. */
function profileFlags(name: string): string[] {
  const { BENCH_PROFILE: folder, BENCH_PROFILE_SIDE: wanted = "" } = process.env;
  if (folder === undefined || !name.includes(wanted)) return [];
  return ["--cpu-prof", `--cpu-prof-dir=${folder}`];
}

function answer(child: ChildProcess, name: string): Promise<FromSide> {
  return new Promise((resolve, reject) => {
    const settle = (): void => {
      child.off("message", onMessage);
      child.off("exit", onExit);
    };
    const onMessage = (message: FromSide): void => {
      settle();
      if (message.kind === "failed") reject(new Error(`side "${name}" failed: ${message.problem}`));
      else resolve(message);
    };
    const onExit = (code: number | null, signal: string | null): void => {
      settle();
      reject(new Error(`side "${name}" ended (${signal ?? code})`));
    };
    child.on("message", onMessage);
    child.on("exit", onExit);
  });
}

/** Asks the side to close; a side that has not ended after 10 s is killed. */
async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => void child.once("exit", () => resolve()));
  const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
  if (child.connected) child.send({ kind: "close" } satisfies ToSide);
  await ended;
  clearTimeout(timer);
}
