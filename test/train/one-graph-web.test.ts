/** The step as one graph in onnxruntime-web (WebAssembly): the numbers of the bare step. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as ort from "onnxruntime-web";
import { writeModel } from "tenon/onnx";
import { type Tensor, tensorFromStorage } from "tenon/tensor";
import {
  adamw,
  batchNorm,
  conv,
  crossEntropy,
  define,
  dropout,
  flatten,
  float32,
  int64,
  type LossFunction,
  linear,
  maxPool,
  oneGraph,
  relu,
  type TrainableModel,
} from "tenon/train";

const make = (): TrainableModel =>
  define(
    { x: float32(["batch", 1, 8, 8]), y: int64(["batch"]) },
    (_, { x }) => {
      const edges = maxPool(relu(batchNorm(conv(x, 4, { kernel: 3, padding: 1, bias: false }))), {
        kernel: 2,
      });
      return linear(dropout(flatten(edges), 0.2), 3);
    },
    { seed: 3 },
  );
const loss: LossFunction = (_, out, { y }) => crossEntropy(out.output!, y!);

const batch = (key: number): Record<string, Tensor> => ({
  x: tensorFromStorage(
    "float32",
    [6, 1, 8, 8],
    Float32Array.from({ length: 384 }, (_, i) => Math.sin(i * 1.3 + key)),
  ),
  y: tensorFromStorage(
    "int64",
    [6],
    BigInt64Array.from({ length: 6 }, (_, i) => BigInt((i + key) % 3)),
  ),
});

const foreign = ({ dtype, data, shape }: Tensor): ort.Tensor =>
  // Dtypes have the same names there; its overloads take one array type each.
  new ort.Tensor(dtype as "float32", data as unknown as Float32Array, [...shape]);

test("onnxruntime-web trains by the same numbers", async () => {
  ort.env.wasm.numThreads = 1;
  const options = { loss, optimizer: adamw({ lr: 0.01 }), seed: 2 };
  const model = make();
  await using step = await model.compile({ ...options, threads: 1 });
  const whole = oneGraph(make(), batch(0), options);
  const session = await ort.InferenceSession.create(writeModel(whole.onnx));
  try {
    let state = Object.fromEntries(
      Object.entries(whole.state).map(([name, value]) => [name, foreign(value)]),
    );
    for (let at = 1; at <= 5; at++) {
      const given = { ...batch(at), ...whole.inputs(at) };
      const feeds = Object.fromEntries(Object.entries(given).map(([name, value]) => [name, foreign(value)]));
      const outputs = await session.run({ ...feeds, ...state });
      const expected = (await step.run(batch(at))).loss;
      const found = Number(outputs[whole.loss]!.data[0]);
      assert.ok(Math.abs(found - expected) < 1e-5, `step ${at}: ${found}, here ${expected}`);
      state = Object.fromEntries(
        Object.entries(whole.next).map(([name, output]) => [name, outputs[output]!]),
      );
    }
    for (const name of model.parameters)
      model.values(name).forEach((value, i) => {
        const other = Number(state[name]!.data[i]);
        assert.ok(Math.abs(value - other) < 1e-4, `${name}: ${other}, here ${value}`);
      });
  } finally {
    await session.release();
  }
});
