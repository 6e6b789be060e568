/** tenon/train held against PyTorch: whole models from the same weights on the same batches, losses, gradients, weights. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { resolve } from "node:path";
import { describe, test } from "node:test";
import { type Tensor, tensorFromStorage } from "tenon/tensor";
import * as t from "tenon/train";
import { randomFloats, seededRandom } from "../support/random.js";

const script = resolve(import.meta.dirname, "../../../test/python/training.py");
const STEPS = 5;
const CLIP = 1;

interface Case {
  readonly name: string;
  readonly model: () => t.TrainableModel;
  readonly loss: t.LossFunction;
  readonly optimizer: t.Optimizer;
  readonly options: Record<string, number>;
  readonly batch: (random: () => number) => Record<string, Tensor>;
}

const floats = (shape: readonly number[], random: () => number): Tensor =>
  tensorFromStorage(
    "float32",
    shape,
    randomFloats(
      shape.reduce((a, b) => a * b, 1),
      1,
      random,
    ),
  );
const labels = (shape: readonly number[], classes: number, random: () => number): Tensor => {
  const size = shape.reduce((a, b) => a * b, 1);
  return tensorFromStorage(
    "int64",
    shape,
    BigInt64Array.from({ length: size }, () => BigInt(Math.floor(random() * classes))),
  );
};

const CASES: readonly Case[] = [
  {
    name: "mlp",
    model: () =>
      t.sequential(
        t.float32(["batch", 12]),
        [(x) => t.linear(x, 16), t.relu, (x) => t.linear(x, 16), (x) => t.gelu(x), (x) => t.linear(x, 5)],
        { seed: 3 },
      ),
    loss: (_, out, batch) => t.crossEntropy(out.output!, batch.y!, { labelSmoothing: 0.1 }),
    optimizer: t.adamw({ lr: 0.01, weightDecay: 0.1 }),
    options: { lr: 0.01, weight_decay: 0.1 },
    batch: (random) => ({ x: floats([8, 12], random), y: labels([8], 5, random) }),
  },
  {
    name: "cnn",
    model: () =>
      t.define({ x: t.float32(["n", 2, 8, 8]) }, (_, { x }) => {
        const first = t.conv(x, 4, { kernel: 3, padding: "same" });
        const pooled = t.maxPool(t.relu(t.batchNorm(first)), { kernel: 2 });
        const second = t.conv(pooled, 6, { kernel: 3, padding: 1, stride: 2, groups: 2, bias: false });
        return t.linear(t.globalAveragePool(t.relu(t.batchNorm(second))), 3);
      }),
    loss: (_, out, batch) => t.crossEntropy(out.output!, batch.y!),
    optimizer: t.sgd({ lr: 0.05, momentum: 0.9 }),
    options: { lr: 0.05, momentum: 0.9 },
    batch: (random) => ({ x: floats([6, 2, 8, 8], random), y: labels([6], 3, random) }),
  },
  {
    name: "encoder",
    model: () =>
      t.define({ ids: t.int64(["batch", 7]) }, (_, { ids }) => {
        let x = t.embedding(ids, 11, 8);
        for (let i = 0; i < 2; i++) x = t.transformerBlock(x, { heads: 2, causal: true });
        return { logits: t.linear(t.layerNorm(x), 11) };
      }),
    loss: (_, out, batch) => t.crossEntropy(out.logits!, batch.y!, { ignoreIndex: 0 }),
    optimizer: t.adamw({ lr: 0.002, weightDecay: 0 }),
    options: { lr: 0.002, weight_decay: 0 },
    batch: (random) => ({ ids: labels([3, 7], 11, random), y: labels([3, 7], 11, random) }),
  },
  {
    name: "recurrent",
    model: () =>
      t.define({ x: t.float32(["batch", 6, 3]) }, (_, { x }) => {
        const { output } = t.lstm(x, 5, { bidirectional: true });
        return t.linear(t.gru(output, 4, { bidirectional: true }).last, 2);
      }),
    loss: (_, out, batch) => t.huber(out.output!, batch.y!, { delta: 0.7 }),
    optimizer: t.sgd({ lr: 0.1 }),
    options: { lr: 0.1 },
    batch: (random) => ({ x: floats([4, 6, 3], random), y: floats([4, 2], random) }),
  },
];

interface Answer {
  readonly losses: readonly number[];
  readonly gradients: Record<string, number[]>;
  readonly parameters: Record<string, number[]>;
  readonly buffers: Record<string, number[]>;
}

const plain = (value: Tensor): { data: number[]; shape: readonly number[]; float: boolean } => ({
  data: Array.from(value.data as unknown as ArrayLike<number | bigint>, Number),
  shape: value.shape,
  float: value.dtype === "float32",
});

/** Largest difference over the largest expected value; what is 0 but for rounding (a bias before a norm) counts as 0.01. */
function apart(found: Float32Array, expected: readonly number[]): number {
  assert.equal(found.length, expected.length);
  const most = expected.reduce((max, value) => Math.max(max, Math.abs(value)), 1e-2);
  return found.reduce((max, value, i) => Math.max(max, Math.abs(value - expected[i]!)), 0) / most;
}

describe("training against PyTorch in float64", () => {
  test("losses, first gradients and weights after the steps are those of PyTorch", async () => {
    const asked: unknown[] = [];
    const found: { losses: number[]; first: Map<string, Float32Array>; step: t.TrainStep }[] = [];
    for (const { name, model: make, loss, optimizer, options, batch } of CASES) {
      const random = seededRandom(5);
      const model = make();
      const step = await model.compile({ loss, optimizer, clipNorm: CLIP, groups: "pytorch" });
      const weight = (of: string): unknown => ({
        data: [...model.values(of)],
        shape: model.shapeOf(of),
        float: true,
      });
      const parameters = Object.fromEntries(model.parameters.map((of) => [of, weight(of)]));
      const buffers = Object.fromEntries([...step.buffers.keys()].map((of) => [of, weight(of)]));
      const batches = Array.from({ length: STEPS }, () => batch(random));
      const given = batches.map((each) =>
        Object.fromEntries(Object.entries(each).map(([of, value]) => [of, plain(value)])),
      );
      asked.push({
        name,
        parameters,
        buffers,
        batches: given,
        optimizer: optimizer.name,
        options,
        clip: CLIP,
      });
      const losses: number[] = [];
      const first = new Map<string, Float32Array>();
      for (const each of batches) {
        losses.push((await step.run(each)).loss);
        if (losses.length === 1)
          for (const of of model.parameters) first.set(of, step.memory.gradient(of).slice());
      }
      await step.dispose();
      found.push({ losses, first, step });
    }
    const answers = JSON.parse(
      execFileSync(process.env.TENON_PYTHON!, [script], {
        input: JSON.stringify(asked),
        encoding: "utf8",
        maxBuffer: 2 ** 28,
      }),
    ) as Answer[];
    answers.forEach((answer, i) => {
      const { losses, first, step } = found[i]!;
      const { name } = CASES[i]!;
      assert.ok(
        apart(Float32Array.from(losses), answer.losses) < 1e-5,
        `${name}: losses ${losses} ${answer.losses}`,
      );
      for (const [of, expected] of Object.entries(answer.gradients))
        assert.ok(
          apart(first.get(of)!, expected) < 1e-5,
          `${name}: gradient of ${of}: ${apart(first.get(of)!, expected)}`,
        );
      // A gradient that is 0 but for rounding (a bias of keys, or before a norm) has any direction under Adam.
      const moved = (of: string): boolean => answer.gradients[of]!.some((value) => Math.abs(value) > 1e-9);
      for (const [of, expected] of Object.entries(answer.parameters).filter(([of]) => moved(of)))
        assert.ok(
          apart(step.memory.parameter(of), expected) < 2e-5,
          `${name}: ${of}: ${apart(step.memory.parameter(of), expected)}`,
        );
      for (const [of, expected] of Object.entries(answer.buffers))
        assert.ok(apart(step.buffers.get(of)!, expected) < 1e-5, `${name}: ${of}`);
    });
  });
});
