/** The bare step: the bits of its parts put together, accumulation, groups, modes, and what it refuses. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { graph, writeModel } from "../../onnx/index.js";
import { Engine } from "../../runtime/index.js";
import { tensor, tensorFromStorage } from "../../tensor/index.js";
import { gradients } from "../gradients/gradients.js";
import { dense, dropout } from "../layers/dense.js";
import { batchNorm } from "../layers/norm.js";
import { bceWithLogits, crossEntropy, mse } from "../losses.js";
import { FlatMemory } from "../memory.js";
import { define, float32, int64, sequential } from "../model/definition.js";
import { add, mul, relu } from "../model/ops.js";
import type { Var } from "../model/tape.js";
import type { TrainableModel } from "../model/trainable.js";
import { adamw, sgd } from "../optimizers/rows.js";
import { fillUniform } from "../random.js";
import type { LossFunction } from "./options.js";
import { joiningOf } from "./split.js";

const floats = (length: number, key: number): Float32Array => {
  const values = new Float32Array(length);
  fillUniform(values, key, -1, 1);
  return values;
};
const bits = (values: Float32Array): number[] => [...new Uint32Array(values.slice().buffer)];

function perceptron(seed = 1): TrainableModel {
  return define(
    { x: float32(["batch", 4]), y: int64(["batch"]) },
    (_, { x }) => dense(relu(dense(x, 8)), 3),
    { seed },
  );
}
const lossOf = (_: unknown, out: Readonly<Record<string, Var>>, batch: Readonly<Record<string, Var>>): Var =>
  crossEntropy(out.output!, batch.y!);
const batchOf = (rows: number, key = 7): { x: Float32Array; y: BigInt64Array } => ({
  x: floats(rows * 4, key),
  y: BigInt64Array.from({ length: rows }, (_, i) => BigInt((i * 5 + key) % 3)),
});

describe("a training step", () => {
  test("gives the bits of gradients run by the engine and the optimiser's plain loop", async () => {
    const model = perceptron();
    const shapes = {
      "linear.weight": [4, 8],
      "linear.bias": [8],
      "linear_2.weight": [8, 3],
      "linear_2.bias": [3],
    };
    const names = Object.keys(shapes) as (keyof typeof shapes)[];
    const optimizer = adamw({ lr: 0.05 });
    const oracle = new FlatMemory(
      names.map((name) => ({ name, shape: shapes[name] })),
      optimizer,
      { simd: false },
    );
    for (const name of names) oracle.parameter(name).set(model.values(name));

    const g = graph({ opset: 21 });
    const x = g.input("x", "float32", [6, 4]);
    const y = g.input("y", "int64", [6, 1]);
    const [w1, b1, w2, b2] = names.map((name) => g.input(name, "float32", shapes[name])) as [
      string,
      string,
      string,
      string,
    ];
    const hidden = g.add("Relu", [g.add("Gemm", [x, w1, b1])]);
    const logs = g.add("LogSoftmax", [g.add("Gemm", [hidden, w2, b2])], { axis: -1 });
    const picked = g.add("GatherElements", [logs, y], { axis: -1 });
    g.output(g.add("ReduceMean", [g.add("Neg", [picked])], { keepdims: 0 }), "loss");
    const withGradients = gradients(g.model(), { loss: "loss", wrt: names });

    await using engine = await Engine.open({ cache: false });
    const plain = await engine.load(writeModel(withGradients), { optimization: "extended" });
    await using step = await model.compile({
      loss: lossOf,
      optimizer,
      groups: "pytorch",
      clipNorm: 0.5,
      threads: 1,
    });
    for (let at = 1; at <= 5; at++) {
      const batch = batchOf(6, at);
      const values = names.map((name) => [
        name,
        tensorFromStorage("float32", shapes[name], oracle.parameter(name).slice()),
      ]);
      const given = {
        x: tensorFromStorage("float32", [6, 4], batch.x),
        y: tensorFromStorage("int64", [6, 1], batch.y),
      };
      const outputs = await plain.run({ ...given, ...Object.fromEntries(values) });
      for (const name of names)
        oracle.gradient(name).set(outputs[`${name}_grad`]!.data as unknown as Float32Array);
      const { gradNorm } = oracle.update({ step: at, clipNorm: 0.5 });
      const result = await step.run(batch);
      assert.equal(result.loss, outputs.loss!.toArray());
      assert.equal(result.gradNorm, gradNorm);
    }
    for (const name of names) assert.deepEqual(bits(model.values(name)), bits(oracle.parameter(name)), name);
  });

  test("accumulates batches of different sizes as one batch of all their rows", async () => {
    const whole = perceptron();
    const parts = perceptron();
    await using one = await whole.compile({ loss: lossOf, optimizer: sgd({ lr: 0.5 }) });
    await using two = await parts.compile({ loss: lossOf, optimizer: sgd({ lr: 0.5 }), accumulate: 2 });
    const { x, y } = batchOf(6);
    const all = await one.run({ x, y });
    const first = await two.run({ x: x.slice(0, 8), y: y.slice(0, 2) });
    assert.equal(first.applied, false);
    assert.equal(first.step, 0);
    const second = await two.run({ x: x.slice(8), y: y.slice(2) });
    assert.equal(second.step, 1);
    assert.ok(Math.abs(second.gradNorm - all.gradNorm) < 1e-6);
    for (const name of whole.parameters)
      whole.values(name).forEach((value, i) => {
        assert.ok(Math.abs(value - parts.values(name)[i]!) < 1e-6, name);
      });
  });

  test("keeps biases out of weight decay, unless told to do as PyTorch does", async () => {
    const moved: number[] = [];
    for (const groups of [undefined, "pytorch" as const]) {
      const model = perceptron();
      model.setValues("linear.bias", new Float32Array(8).fill(1));
      const optimizer = sgd({ lr: 1e-9, weightDecay: 1e8 });
      await using step = await model.compile({
        loss: lossOf,
        optimizer,
        ...(groups === undefined ? {} : { groups }),
      });
      await step.run(batchOf(4));
      moved.push(1 - model.values("linear.bias")[0]!);
    }
    assert.ok(moved[0]! < 1e-6, String(moved[0]));
    assert.ok(Math.abs(moved[1]! - 0.1) < 1e-6, String(moved[1]));
  });

  test("averages parameters as it moves them", async () => {
    const model = perceptron();
    const before = model.values("linear.weight")[0]!;
    await using step = await model.compile({ loss: lossOf, optimizer: sgd({ lr: 1 }), average: 0.75 });
    await step.run(batchOf(4));
    const after = model.values("linear.weight")[0]!;
    assert.ok(Math.abs(step.averaged().get("linear.weight")![0]! - (0.75 * before + 0.25 * after)) < 1e-6);
  });

  test("drops a share of the elements in training, other ones at each step, and none in evaluation", async () => {
    const model = define({ x: float32(["batch", 1000]) }, (t, { x }) => {
      const one = t.initialized("scale", tensor([1], { dtype: "float32" }));
      return dropout(t.op("Mul", [x, one]), 0.25);
    });
    // The gradient of the scale is what is kept of the sum.
    const sum = (
      t: { op: (op: string, inputs: readonly Var[], attrs?: Record<string, number>) => Var },
      out: Readonly<Record<string, Var>>,
    ): Var => t.op("ReduceSum", [out.output!], { keepdims: 0 });
    await using step = await model.compile({ loss: sum, optimizer: sgd({ lr: 0 }), seed: 3 });
    const x = new Float32Array(4000).fill(1);
    const { loss: first } = await step.run({ x });
    const { loss: second } = await step.run({ x });
    const kept = (first * 0.75) / 4000;
    assert.ok(Math.abs(kept - 0.75) < 0.03, String(kept));
    assert.notEqual(first, second);
    assert.equal((await step.evaluate({ x })).loss, 4000);
    step.restore({ ...step.counters, batches: 0 });
    assert.equal((await step.run({ x })).loss, first);
  });

  test("moves running statistics by the unbiased variance, and infers with them", async () => {
    const model = define({ x: float32(["n", 2]) }, (_, { x }) => batchNorm(x));
    const target = (
      _: unknown,
      out: Readonly<Record<string, Var>>,
      batch: Readonly<Record<string, Var>>,
    ): Var => mse(out.output!, batch.x!);
    await using step = await model.compile({ loss: target, optimizer: sgd({ lr: 0 }) });
    await step.run({ x: Float32Array.of(0, 10, 2, 10, 4, 10) });
    const [mean, variance] = [
      step.buffers.get("batch_norm.running_mean")!,
      step.buffers.get("batch_norm.running_var")!,
    ];
    const near = (found: Float32Array, expected: readonly number[]): void =>
      expected.forEach((value, i) => {
        assert.ok(Math.abs(found[i]! - value) < 1e-6, `${found}`);
      });
    near(mean, [0.2, 1]);
    near(variance, [0.9 + 0.1 * 4, 0.9]);
    const { outputs } = await step.evaluate({ x: Float32Array.of(0.2, 1) });
    near(outputs.output!.data as unknown as Float32Array, [0, 0]);
  });

  test("keeps its memory at one place over many shapes", async () => {
    const model = perceptron();
    await using step = await model.compile({ loss: lossOf, optimizer: adamw(), shapes: 2 });
    for (const rows of [1, 2, 3, 1, 2]) await step.run(batchOf(rows));
    assert.equal(step.counters.step, 5);
    assert.equal(model.values("linear.weight").buffer, step.memory.section("p").buffer);
  });

  test("refuses what does not fit, by name", async () => {
    const model = perceptron();
    await using step = await model.compile({ loss: lossOf, optimizer: adamw() });
    const { x, y } = batchOf(2);
    await assert.rejects(step.run({ y }), { code: "INPUT_MISSING" });
    await assert.rejects(step.run({ x, y: Float32Array.of(1, 2) }), { code: "INPUT_DTYPE" });
    await assert.rejects(step.run({ x: x.slice(1), y }), { code: "INPUT_SHAPE" });
    await assert.rejects(step.run({ x, y: tensor([[1n], [2n]]) }), { code: "INPUT_SHAPE" });
    await assert.rejects(step.run({ x }), { code: "USAGE", message: /batch entry.*y/ });
    await assert.rejects(step.run({ x, y: BigInt64Array.of(0n, 3n) }), { code: "ENGINE_FAILED" });
    await assert.rejects(step.run({ x, y: BigInt64Array.of(0n, -1n) }), { code: "ENGINE_FAILED" });
    assert.equal((await step.run({ x, y: Int32Array.of(1, 2) })).step, 1);
    await using vector = await model.compile({
      loss: (_, out, batch) => crossEntropy(out.output!, batch.y!, { reduction: "none" }),
      optimizer: adamw(),
    });
    await assert.rejects(vector.run({ x, y }), { code: "USAGE", message: /not one float32 number/ });
    const unused = define({ x: float32(["n", 2]) }, (_, { x: given }) => ({
      a: dense(given, 1),
      b: dense(given, 1),
    }));
    await using half = await unused.compile({
      loss: (_, out, batch) => bceWithLogits(out.a!, batch.y!),
      optimizer: adamw(),
    });
    await assert.rejects(half.run({ x: Float32Array.of(1, 2), y: tensor([[1]]) }), {
      message: /linear_2\.weight/,
    });
    for (const wrong of [{ accumulate: 0 }, { average: 1 }, { clipNorm: 0 }, { threads: 0.5 }])
      await assert.rejects(model.compile({ loss: lossOf, optimizer: adamw(), ...wrong }), { code: "USAGE" });
  });

  test("stops after ten updates whose gradients are not finite, and names them", async () => {
    const model = sequential(float32(["n", 2]), [(x) => dense(x, 1)]);
    await using step = await model.compile({
      loss: (_, out, batch) => mse(out.output!, batch.y!),
      optimizer: sgd({ lr: 0.1 }),
    });
    const before = model.values("linear.weight").slice();
    const run = (): Promise<unknown> => step.run({ x: Float32Array.of(1, 2), y: tensor([[Number.NaN]]) });
    for (let i = 0; i < 9; i++) await run();
    await assert.rejects(run(), { code: "TRAINING_DIVERGED", message: /linear\.weight/ });
    assert.deepEqual(model.values("linear.weight"), before);
  });
});

describe("lanes", () => {
  const network = (): TrainableModel =>
    define({ x: float32(["batch", 4]), y: int64(["batch"]) }, (_, { x }) =>
      dense(dropout(relu(dense(x, 8)), 0.5), 3),
    );

  test("give the losses, masks and weights of the whole batch, but for rounding", async () => {
    const [whole, parts] = [network(), network()];
    const options = { loss: lossOf, optimizer: sgd({ lr: 0.5 }), threads: 2 };
    await using a = await whole.compile({ ...options, parallel: "threads" });
    await using b = await parts.compile({ ...options, parallel: "lanes" });
    for (let i = 0; i < 5; i++) {
      const [one, other] = [await a.run(batchOf(12, i)), await b.run(batchOf(12, i))];
      assert.ok(Math.abs(one.loss - other.loss) < 1e-5, `${one.loss} ${other.loss}`);
    }
    // Seven rows have no halves: they run on threads.
    assert.ok(Math.abs((await a.run(batchOf(7))).loss - (await b.run(batchOf(7))).loss) < 1e-5);
    assert.deepEqual([a.parallel, b.parallel], ["threads", "lanes"]);
    for (const name of whole.parameters)
      whole
        .values(name)
        .forEach((value, i) => void assert.ok(Math.abs(value - parts.values(name)[i]!) < 1e-5, name));
  });

  test("of a batch norm each have their own statistics, whose means move the running ones", async () => {
    const model = define({ x: float32(["batch", 2]), y: float32(["batch", 2]) }, (_, { x }) => batchNorm(x));
    await using step = await model.compile({
      loss: (_, out, { y }) => mse(out.output!, y!),
      optimizer: sgd({ lr: 0 }),
      threads: 2,
      parallel: "lanes",
    });
    await step.run({ x: Float32Array.of(1, 0, 3, 0, 5, 0, 9, 0), y: new Float32Array(8) });
    const mean = [...step.buffers].find(([name]) => name.endsWith("running_mean"))![1];
    assert.ok(Math.abs(mean[0]! - 0.45) < 1e-6, `${mean}`);
  });

  test("add the gradients of a summed loss, and refuse a loss of which they know nothing", async () => {
    const options = { optimizer: sgd({ lr: 0.05 }), threads: 2 };
    const summed: LossFunction = (_, out, { y }) =>
      add(
        mul(crossEntropy(out.output!, y!, { reduction: "sum" }), 0.5),
        crossEntropy(out.output!, y!, { reduction: "sum" }),
      );
    const [whole, parts] = [network(), network()];
    await using a = await whole.compile({ ...options, loss: summed, parallel: "threads" });
    await using b = await parts.compile({ ...options, loss: summed, parallel: "lanes" });
    for (let i = 0; i < 3; i++) {
      const [one, other] = [await a.run(batchOf(12, i)), await b.run(batchOf(12, i))];
      assert.ok(Math.abs(one.loss - other.loss) < 1e-4, `${one.loss} ${other.loss}`);
      assert.ok(Math.abs(one.gradNorm - other.gradNorm) < 1e-4, `${one.gradNorm} ${other.gradNorm}`);
    }
    const ignoring: LossFunction = (_, out, { y }) => crossEntropy(out.output!, y!, { ignoreIndex: 0 });
    await using c = await network().compile({ ...options, loss: ignoring, parallel: "lanes" });
    await assert.rejects(c.run(batchOf(12)), { code: "USAGE", message: /mean or a sum over rows/ });
    // Seven rows have no halves, so that they are not computed in lanes.
    assert.ok(Number.isFinite((await c.run(batchOf(7))).loss));
  });

  test("are tried only for losses that are means or sums of rows", () => {
    const g = graph({ opset: 21 });
    const x = g.input("x", "float32", [4]);
    const two = g.initializer("two", tensor([2], { dtype: "float32" }).reshape([]));
    const mean = g.add("ReduceMean", [x], { keepdims: 0 });
    const sum = g.add("ReduceSum", [x], { keepdims: 0 });
    const scaled = g.add("Add", [g.add("Mul", [mean, two]), mean]);
    const shifted = g.add("Add", [mean, two]);
    const sums = g.add("Sub", [g.add("Div", [sum, two]), sum]);
    const moved = g.add("Add", [sum, two]);
    const squared = g.add("Mul", [mean, mean]);
    const mixed = g.add("Add", [mean, sum]);
    for (const name of [scaled, shifted, sums, moved, squared, mixed]) g.output(name);
    const known = new Map([
      [mean, "mean" as const],
      [sum, "sum" as const],
    ]);
    const judged = [mean, scaled, shifted, sum, sums, moved, squared, mixed].map((loss) =>
      joiningOf(g.model().graph, loss, known),
    );
    const no = undefined;
    assert.deepEqual(judged, ["mean", "mean", "mean", "sum", "sum", no, no, no]);
  });
});
