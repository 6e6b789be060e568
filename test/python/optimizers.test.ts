/** tenon/train held against torch.optim and torch.optim.lr_scheduler: trajectories of parameters and of rates. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { test } from "node:test";
import * as t from "tenon/train";

const script = resolve(import.meta.dirname, "../../../test/python/optimizers.py");
const [SIZE, STEPS, TOTAL] = [37, 100, 60];

let seed = 11;
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 31 - 1;
}

interface Case {
  readonly optimizer: t.Optimizer;
  readonly options: Record<string, unknown>;
  readonly clip: number;
  readonly shape?: readonly number[];
  /** Newton–Schulz in float64 in place of torch's bfloat16. */
  readonly exact?: boolean;
  /** Of the largest parameter; default 1e-5. */
  readonly tolerance?: number;
}

const MUON = { lr: 0.01, adjust_lr_fn: "match_rms_adamw" };

const CASES: readonly Case[] = [
  { optimizer: t.sgd({ lr: 0.05 }), options: { lr: 0.05 }, clip: 0 },
  {
    optimizer: t.sgd({ lr: 0.05, momentum: 0.9, weightDecay: 0.01 }),
    options: { lr: 0.05, momentum: 0.9, weight_decay: 0.01 },
    clip: 1,
  },
  {
    optimizer: t.sgd({ lr: 0.05, momentum: 0.9, nesterov: true }),
    options: { lr: 0.05, momentum: 0.9, nesterov: true },
    clip: 0,
  },
  { optimizer: t.adam({ lr: 0.01, weightDecay: 0.1 }), options: { lr: 0.01, weight_decay: 0.1 }, clip: 0 },
  { optimizer: t.adamw({ lr: 0.01, weightDecay: 0.1 }), options: { lr: 0.01, weight_decay: 0.1 }, clip: 2 },
  { optimizer: t.rmsprop({ lr: 0.01, momentum: 0.5 }), options: { lr: 0.01, momentum: 0.5 }, clip: 0 },
  { optimizer: t.rmsprop({ weightDecay: 0.1 }), options: { weight_decay: 0.1 }, clip: 0 },
  {
    optimizer: t.adagrad({ lrDecay: 0.01, initialAccumulator: 0.1 }),
    options: { lr_decay: 0.01, initial_accumulator_value: 0.1 },
    clip: 0,
  },
  { optimizer: t.lamb({ lr: 0.01 }), options: { lr: 0.01 }, clip: 0 },
  { optimizer: t.lamb({ weightDecay: 0.2 }), options: { weight_decay: 0.2 }, clip: 1 },
  { optimizer: t.muon({ lr: 0.01 }), options: MUON, clip: 1, shape: [9, 4], exact: true },
  {
    optimizer: t.muon({ lr: 0.01, nesterov: false, momentum: 0.8, weightDecay: 0 }),
    options: { ...MUON, nesterov: false, momentum: 0.8, weight_decay: 0 },
    clip: 0,
    shape: [3, 12],
    exact: true,
  },
  { optimizer: t.muon({ lr: 0.01 }), options: MUON, clip: 0, shape: [6, 6], tolerance: 0.05 },
];

const SCHEDULES: Readonly<Record<string, { schedule: t.Schedule; total: number }>> = {
  cosine: { schedule: t.cosine({ end: 0.1 }), total: TOTAL },
  step: { schedule: t.step({ every: 7, gamma: 0.5 }), total: TOTAL },
  exponential: { schedule: t.exponential({ gamma: 0.97 }), total: TOTAL },
  polynomial: { schedule: t.polynomial({ power: 2 }), total: TOTAL },
  linear: { schedule: t.linear({ end: 0.25 }), total: TOTAL },
  oneCycle: { schedule: t.oneCycle(), total: TOTAL + 1 },
  sequence: {
    schedule: t.sequence([
      { schedule: t.constant(), steps: 10 },
      { schedule: t.exponential({ gamma: 0.9 }) },
    ]),
    total: TOTAL,
  },
};

test("optimisers and schedules follow PyTorch's", () => {
  const start = Array.from({ length: SIZE }, random);
  const gradients = Array.from({ length: STEPS }, () => Array.from({ length: SIZE }, random));
  const sizeOf = ({ shape = [SIZE] }: Pick<Case, "shape">): number =>
    shape.reduce((product, dim) => product * dim, 1);
  const optimizers = CASES.map(({ optimizer, ...rest }) => ({
    ...rest,
    name: optimizer.name,
    start: start.slice(0, sizeOf(rest)),
    gradients: gradients.map((gradient) => gradient.slice(0, sizeOf(rest))),
  }));
  const printed = execFileSync(process.env.TENON_PYTHON!, [script], {
    input: JSON.stringify({ optimizers, total: TOTAL }),
    encoding: "utf8",
    maxBuffer: 2 ** 26,
    env: { ...process.env, OMP_NUM_THREADS: "1" },
  });
  const theirs = JSON.parse(printed) as { parameters: number[][]; curves: Record<string, number[]> };
  CASES.forEach(({ optimizer, clip, shape = [SIZE], tolerance = 1e-5 }, index) => {
    const memory = new t.FlatMemory([{ name: "p", shape }], optimizer);
    assert.equal(memory.matrices.length, Number(shape.length === 2));
    const size = memory.parameter("p").length;
    memory.parameter("p").set(start.slice(0, size));
    gradients.forEach((gradient, at) => {
      memory.gradient("p").set(gradient.slice(0, size));
      memory.update({ step: at + 1, ...(clip > 0 ? { clipNorm: clip } : {}) });
    });
    memory.parameter("p").forEach((x, i) => {
      const y = theirs.parameters[index]![i]!;
      assert.ok(
        Math.abs(x - y) <= tolerance * Math.max(1, Math.abs(y)),
        `${optimizer.name} ${index}: ${x}, torch ${y}`,
      );
    });
  });
  for (const [name, { schedule, total }] of Object.entries(SCHEDULES)) {
    theirs.curves[name]!.forEach((rate, at) => {
      const ours = schedule(at, total);
      assert.ok(Math.abs(ours - rate) < 1e-9, `${name}, step ${at}: ${ours}, torch ${rate}`);
    });
  }
});
