/**
 * Training steps against PyTorch with its fused Adam and others, on as many threads: wall and CPU time, measured in turn.
 * Usage: TENON_PYTHON=… node build/bench/train.js [--rounds R] [--threads 1,2] [--against torch,jax,candle,burn,tfjs,jax-js]
 * [--memory] [case …]. The Python needs torch; the case `encoder` also transformers. scripts/training-peers.sh sets up the
 * others. Peers run in a process for each case.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
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
import { startTrainer, type Times, TRAINERS, type Trainer, type TrainerName } from "./peers/trainers.js";

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

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: "string", default: "7" },
    threads: { type: "string", default: "1,2" },
    memory: { type: "boolean", default: false },
    against: { type: "string", default: "torch" },
  },
});

const merged = (parts: readonly Times[], of: "wall" | "cpu"): number[] => parts.flatMap((part) => part[of]);
const pair = (parts: readonly Times[], of: "wall" | "cpu"): string =>
  `${median(merged(parts, of)).toFixed(3)} / ${percentile(merged(parts, of), 0.05).toFixed(3)}`;

/** Steps of a peer in a round: as many as ours, but not for longer than this. */
const MOST_MS = 1500;

interface Rival {
  readonly name: TrainerName;
  readonly trainer: Trainer;
  readonly steps: number;
  readonly times: Times[];
}

/** The trainers that can run the case, warm. */
async function rivalsOf(name: string, threads: number, steps: number): Promise<Rival[]> {
  const rivals: Rival[] = [];
  for (const each of values.against.split(",")) {
    if (!(each in TRAINERS)) throw new Error(`no trainer ${each}: ${Object.keys(TRAINERS).join(", ")}`);
    const trainer = await startTrainer(each as TrainerName, threads);
    await trainer.measure(name, 1);
    const warm = await trainer.measure(name, 1);
    if ("failed" in warm) {
      console.log(`${name.padEnd(12)} ${trainer.version} cannot: ${warm.failed}`);
      await trainer.close();
      continue;
    }
    const most = Math.max(1, Math.ceil(MOST_MS / warm.wall[0]!));
    rivals.push({ name: each as TrainerName, trainer, steps: Math.min(steps, most), times: [] });
  }
  return rivals;
}

async function compare(name: string, threads: number): Promise<void> {
  const { open, steps, targets, peer = name, together = 1 } = CASES[name]!;
  const before = resident();
  const start = performance.now();
  const running = await open(threads);
  await running.step();
  const first = performance.now() - start;
  const rivals = await rivalsOf(peer, threads, steps * together);
  for (let i = 0; i < Math.min(20, steps); i++) await running.step();
  const ours: Times[] = [];
  const mine = async (): Promise<void> => {
    ours.push(await measureOurs(running, steps, before, together));
  };
  const theirs = async ({ trainer, steps: count, times }: Rival): Promise<void> => {
    const measured = await trainer.measure(peer, count);
    if ("failed" in measured) throw new Error(measured.failed);
    times.push(measured);
  };
  for (let round = 0; round < Number(values.rounds); round++) {
    if (round % 2 === 0) await mine();
    for (const rival of rivals) await theirs(rival);
    if (round % 2 === 1) await mine();
  }
  for (const { trainer, name: rival, times } of rivals) {
    const ratio = (of: "wall" | "cpu"): number => median(merged(ours, of)) / median(merged(times, of));
    const least = percentile(merged(ours, "wall"), 0.05) / percentile(merged(times, "wall"), 0.05);
    const gained = (parts: readonly Times[]): string => median(parts.map((each) => each.gained)).toFixed(0);
    const goal = rival === "torch" ? `, target ${targets[threads - 1] ?? "none"}` : "";
    console.log(
      `${name.padEnd(12)} ${threads} thread${threads > 1 ? "s" : " "}  ours ${pair(ours, "wall")} ms, ${trainer.version} ${pair(times, "wall")} ms: ` +
        `${ratio("wall").toFixed(2)} (least ${least.toFixed(2)}${goal}; ${(1 / ratio("wall")).toFixed(2)} times as fast), CPU ${ratio("cpu").toFixed(2)}; ` +
        `first step after ${first.toFixed(0)} ms${values.memory ? `; memory ${gained(ours)} against ${gained(times)} MB` : ""}${running.note === undefined ? "" : `; ${running.note()}`}`,
    );
    await trainer.close();
  }
  await running.close();
}

async function main(): Promise<void> {
  const names = Object.keys(CASES).filter(
    (name) => positionals.length === 0 || positionals.some((part) => name === part),
  );
  // ONNX Runtime is loaded before anything is counted, as the others are.
  await (await Engine.open({ cache: false })).close();
  console.log(`${machineLine()}; median / 5th percentile of a step`);
  for (const name of names)
    for (const threads of values.threads.split(",").map(Number)) await compare(name, threads);
}

await main();
