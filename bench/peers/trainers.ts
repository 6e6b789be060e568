/** Other trainers as processes of their own that take lines `case threads steps` and answer each with a line of JSON. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Milliseconds of each step, and megabytes that the process has gained since its imports. */
export interface Times {
  readonly wall: readonly number[];
  readonly cpu: readonly number[];
  readonly gained: number;
}

export interface Trainer {
  readonly version: string;
  /** What was measured, or why the trainer cannot do it. */
  measure(name: string, steps: number): Promise<Times | { readonly failed: string }>;
  close(): Promise<void>;
}

interface Command {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

const HOME = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "tenon/peers/training");
const SCRIPTS = join(import.meta.dirname, "../../../bench/peers");

const rust =
  (binary: string) =>
  (threads: number): Command => ({
    file: join(HOME, "target/release", binary),
    args: [],
    env: { RAYON_NUM_THREADS: String(threads) },
  });
const script = (library: string) => (): Command => ({
  file: process.execPath,
  args: [join(SCRIPTS, "train_js.mjs"), library, HOME],
});

/** PyTorch's Python is that of TENON_PYTHON; the others are put in place by scripts/training-peers.sh. */
export const TRAINERS = {
  torch: () => ({ file: process.env.TENON_PYTHON ?? "", args: [join(SCRIPTS, "train_torch.py")] }),
  // XLA takes as many threads as the process may use cores.
  jax: (threads) => ({
    file: "taskset",
    args: ["-c", `0-${threads - 1}`, join(HOME, "jax/bin/python"), join(SCRIPTS, "train_jax.py")],
  }),
  candle: rust("candle"),
  burn: rust("burn"),
  tfjs: script("tfjs"),
  "jax-js": script("jax-js"),
} satisfies Readonly<Record<string, (threads: number) => Command>>;

export type TrainerName = keyof typeof TRAINERS;

export async function startTrainer(name: TrainerName, threads: number): Promise<Trainer> {
  const { file, args, env }: Command = TRAINERS[name](threads);
  if (file === "" || (file.includes("/") && !existsSync(file))) {
    const how =
      name === "torch" ? "TENON_PYTHON names no Python with torch" : "run scripts/training-peers.sh";
    throw new Error(`${name} is not there: ${how}`);
  }
  const { OMP_NUM_THREADS: _, MKL_NUM_THREADS: __, ...environment } = process.env;
  const child = spawn(file, args, { env: { ...environment, ...env }, stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error(`the process of ${name} ended`);
    return value;
  };
  return {
    version: await next(),
    async measure(step, steps) {
      child.stdin.write(`${step} ${threads} ${steps}\n`);
      // Written by the scripts beside this file.
      return JSON.parse(await next()) as Times | { failed: string };
    },
    async close() {
      child.stdin.end();
      await once(child, "exit");
    },
  };
}
