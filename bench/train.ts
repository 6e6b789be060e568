/**
 * Training steps against PyTorch with its fused Adam, on as many threads: wall and CPU time of both, measured in turn.
 * Usage: TENON_PYTHON=… node build/bench/train.js [--rounds R] [--threads 1,2] [--memory] [case …]
 * The Python needs torch; the case `encoder` also transformers. With --memory each case runs in processes of its own.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import { Engine } from "tenon/runtime";
import { tensorFromStorage } from "tenon/tensor";
import {
  adam,
  add,
  conv,
  crossEntropy,
  define,
  embedding,
  FlatMemory,
  finetune,
  flatten,
  float32,
  int64,
  linear,
  maxPool,
  mse,
  normalInit,
  relu,
  reshape,
  type TrainableModel,
  transformerBlock,
} from "tenon/train";
import { machineLine } from "./harness/machine.js";
import { median, percentile } from "./harness/statistics.js";

interface Running {
  /** One step. */
  readonly step: () => Promise<unknown> | unknown;
  readonly close: () => Promise<void> | void;
  /** What the step chose where there was a choice. */
  readonly note?: () => string;
}

interface Case {
  /** Steps of one call of `step`; default 1. */
  readonly together?: number;
  /** Name in the script of PyTorch; default the case's own. */
  readonly peer?: string;
  readonly steps: number;
  readonly targets: readonly [one: number, two: number];
  readonly open: (threads: number) => Promise<Running>;
}

const script = join(import.meta.dirname, "../../bench/peers/train_torch.py");

function scattered(length: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => (((i * 7919) % 10007) / 10007) * 2 - 1);
}
const labels = (length: number, of: (i: number) => number): BigInt64Array =>
  BigInt64Array.from({ length }, (_, i) => BigInt(of(i)));

type Loss = Parameters<TrainableModel["compile"]>[0]["loss"];

async function stepping(
  model: TrainableModel,
  batch: Parameters<Awaited<ReturnType<TrainableModel["compile"]>>["run"]>[0],
  loss: Loss,
  threads: number,
): Promise<Running> {
  const step = await model.compile({ loss, optimizer: adam({ lr: 1e-3 }), threads });
  return { step: () => step.run(batch), close: () => step.dispose(), note: () => step.parallel ?? "" };
}

const classes: Loss = (_, out, { y }) => crossEntropy(out.output!, y!);

/** The imported encoder, written once by PyTorch. */
function encoderFile(): string {
  const path = join(tmpdir(), "tenon-bench-encoder.onnx");
  if (!existsSync(path))
    execFileSync(process.env.TENON_PYTHON!, [script, "export", path], {
      stdio: ["ignore", "ignore", "inherit"],
    });
  return path;
}

async function encoder(threads: number, lora?: { rank: number; alpha: number }): Promise<Running> {
  const model = await finetune(encoderFile(), lora === undefined ? {} : { lora });
  const batch = {
    ids: tensorFromStorage(
      "int64",
      [16, 64],
      labels(1024, (i) => (i * 31) % 30522),
    ),
    mask: tensorFromStorage(
      "int64",
      [16, 64],
      labels(1024, () => 1),
    ),
    target: tensorFromStorage("float32", [16, 64, 384], scattered(16 * 64 * 384)),
  };
  return stepping(model, batch, (_, out, { target }) => mse(out.hidden!, target!), threads);
}

const CASES: Readonly<Record<string, Case>> = {
  mlp: {
    steps: 40,
    targets: [0.95, 0.95],
    open: (threads) =>
      stepping(
        define({ x: float32(["batch", 784]), y: int64(["batch"]) }, (_, { x }) =>
          linear(relu(linear(relu(linear(x, 512)), 256)), 10),
        ),
        { x: scattered(128 * 784), y: labels(128, (i) => i % 10) },
        classes,
        threads,
      ),
  },
  cnn: {
    steps: 12,
    targets: [0.85, 0.9],
    open: (threads) =>
      stepping(
        define({ x: float32(["batch", 1, 28, 28]), y: int64(["batch"]) }, (_, { x }) => {
          const first = maxPool(relu(conv(x, 32, { kernel: 3, padding: 1 })), { kernel: 2 });
          const second = maxPool(relu(conv(first, 64, { kernel: 3, padding: 1 })), { kernel: 2 });
          return linear(flatten(second), 10);
        }),
        { x: scattered(64 * 784), y: labels(64, (i) => i % 10) },
        classes,
        threads,
      ),
  },
  transformer: {
    steps: 6,
    targets: [0.93, 0.85],
    open: (threads) =>
      stepping(
        define({ x: int64(["batch", 64]), y: int64(["batch", 64]) }, (t, { x }) => {
          const positions = t.parameter("positions", [64, 128], { init: normalInit({ std: 0.02 }) });
          let h = add(embedding(x, 1000, 128), positions);
          for (let i = 0; i < 2; i++) h = transformerBlock(h, { heads: 4 });
          return linear(h, 1000);
        }),
        { x: labels(2048, (i) => (i * 7) % 1000), y: labels(2048, (i) => (i * 21) % 1000) },
        (_, out, { y }) => crossEntropy(reshape(out.output!, [-1, 1000]), reshape(y!, [-1])),
        threads,
      ),
  },
  encoder: { steps: 2, targets: [1, 1], open: (threads) => encoder(threads) },
  lora: {
    peer: "encoder",
    steps: 2,
    targets: [0.7, 0.7],
    open: (threads) => encoder(threads, { rank: 8, alpha: 16 }),
  },
  tiny: {
    steps: 400,
    targets: [0.18, 0.18],
    open: (threads) =>
      stepping(
        define({ x: float32(["batch", 16]), y: int64(["batch"]) }, (_, { x }) =>
          linear(relu(linear(x, 32)), 2),
        ),
        { x: scattered(512), y: labels(32, (i) => i % 2) },
        classes,
        threads,
      ),
  },
  tiny100: {
    peer: "tiny",
    together: 100,
    steps: 20,
    targets: [0.11, 0.11],
    async open(threads) {
      const model = define({ x: float32(["batch", 16]), y: int64(["batch"]) }, (_, { x }) =>
        linear(relu(linear(x, 32)), 2),
      );
      const batch = { x: scattered(512), y: labels(32, (i) => i % 2) };
      const step = await model.compile({ loss: classes, optimizer: adam({ lr: 1e-3 }), threads });
      const batches = new Array<typeof batch>(100).fill(batch);
      return { step: () => step.runMany(batches), close: () => step.dispose() };
    },
  },
  optimizer: {
    steps: 10,
    targets: [1, 1],
    async open() {
      const memory = new FlatMemory([{ name: "p", shape: [8_000_000] }], adam({ lr: 1e-3 }));
      memory.parameter("p").set(scattered(8_000_000));
      memory.gradient("p").set(scattered(8_000_000));
      let step = 0;
      return { step: () => memory.update({ step: ++step }), close() {} };
    },
  },
};

interface Times {
  readonly wall: readonly number[];
  readonly cpu: readonly number[];
  readonly gained: number;
}

function resident(): number {
  const status = readFileSync("/proc/self/status", "utf8");
  return Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1000;
}

async function measureOurs(
  running: Running,
  steps: number,
  before: number,
  together: number,
): Promise<Times> {
  const wall: number[] = [];
  const cpu: number[] = [];
  for (let i = 0; i < steps; i++) {
    const used = process.cpuUsage();
    const start = performance.now();
    await running.step();
    wall.push((performance.now() - start) / together);
    const { user, system } = process.cpuUsage(used);
    cpu.push((user + system) / 1000 / together);
  }
  return { wall, cpu, gained: resident() - before };
}

interface Torch {
  readonly version: string;
  readonly child: ChildProcess;
  readonly measure: (name: string, threads: number, steps: number) => Promise<Times>;
}

async function startTorch(): Promise<Torch> {
  const python = process.env.TENON_PYTHON;
  if (!python) throw new Error("TENON_PYTHON names no Python with torch");
  const { OMP_NUM_THREADS: _, MKL_NUM_THREADS: __, ...environment } = process.env;
  const child = spawn(python, [script], { env: environment, stdio: ["pipe", "pipe", "inherit"] });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  const next = async (): Promise<string> => {
    const { value, done } = await lines.next();
    if (done === true) throw new Error("PyTorch's process ended");
    return value;
  };
  return {
    version: await next(),
    child,
    async measure(name, threads, steps) {
      child.stdin.write(`${name} ${threads} ${steps}\n`);
      return JSON.parse(await next()) as Times;
    },
  };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "7" },
    threads: { type: "string", default: "1,2" },
    memory: { type: "boolean", default: false },
  },
});

const merged = (parts: readonly Times[], of: "wall" | "cpu"): number[] => parts.flatMap((part) => part[of]);
const pair = (parts: readonly Times[], of: "wall" | "cpu"): string =>
  `${median(merged(parts, of)).toFixed(3)} / ${percentile(merged(parts, of), 0.05).toFixed(3)}`;

async function compare(name: string, threads: number, torch: Torch): Promise<void> {
  const { open, steps, targets, peer = name, together = 1 } = CASES[name]!;
  const before = resident();
  const start = performance.now();
  const running = await open(threads);
  await running.step();
  const first = performance.now() - start;
  await torch.measure(peer, threads, 1);
  for (let i = 0; i < Math.min(20, steps); i++) await running.step();
  const ours: Times[] = [];
  const theirs: Times[] = [];
  for (let round = 0; round < Number(values.rounds); round++) {
    const mine = async (): Promise<unknown> => ours.push(await measureOurs(running, steps, before, together));
    if (round % 2 === 0) await mine();
    theirs.push(await torch.measure(peer, threads, steps * together));
    if (round % 2 === 1) await mine();
  }
  const ratio = (of: "wall" | "cpu"): string =>
    (median(merged(ours, of)) / median(merged(theirs, of))).toFixed(2);
  const memory = values.memory
    ? `; memory ${median(ours.map(({ gained }) => gained)).toFixed(0)} against ${median(theirs.map(({ gained }) => gained)).toFixed(0)} MB`
    : "";
  const least = (percentile(merged(ours, "wall"), 0.05) / percentile(merged(theirs, "wall"), 0.05)).toFixed(
    2,
  );
  console.log(
    `${name.padEnd(12)} ${threads} thread${threads > 1 ? "s" : " "}  ours ${pair(ours, "wall")} ms, PyTorch ${pair(theirs, "wall")} ms: ` +
      `${ratio("wall")} (least ${least}, target ${targets[threads - 1] ?? "none"}), CPU ${pair(ours, "cpu")} against ${pair(theirs, "cpu")}: ${ratio("cpu")}; ` +
      `first step after ${first.toFixed(0)} ms${memory}${running.note === undefined ? "" : `; ${running.note()}`}`,
  );
  await running.close();
}

async function main(): Promise<void> {
  const names = Object.keys(CASES).filter(
    (name) => positionals.length === 0 || positionals.some((part) => name === part),
  );
  // ONNX Runtime is loaded before anything is counted, as PyTorch is.
  await (await Engine.open({ cache: false })).close();
  let torch = await startTorch();
  const stop = async (): Promise<void> => {
    torch.child.stdin?.end();
    await once(torch.child, "exit");
  };
  console.log(`${machineLine()}, PyTorch ${torch.version}; median / 5th percentile of a step`);
  for (const name of names)
    for (const threads of values.threads.split(",").map(Number)) {
      await compare(name, threads, torch);
      if (values.memory) {
        await stop();
        torch = await startTorch();
      }
    }
  await stop();
}

await main();
