/** The step as one graph: the bits of the bare step, over several updates. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { writeModel } from "../../onnx/index.js";
import { Engine } from "../../runtime/index.js";
import { type Tensor, tensorFromStorage } from "../../tensor/index.js";
import { dense, dropout } from "../layers/dense.js";
import { batchNorm } from "../layers/norm.js";
import { crossEntropy } from "../losses.js";
import { define, float32, int64 } from "../model/definition.js";
import { relu } from "../model/ops.js";
import type { TrainableModel } from "../model/trainable.js";
import { muon } from "../optimizers/muon.js";
import type { Optimizer } from "../optimizers/optimizer.js";
import { adagrad, adamw, lamb, lion, sgd } from "../optimizers/rows.js";
import { fillUniform } from "../random.js";
import { oneGraph } from "./one-graph.js";
import type { LossFunction } from "./options.js";

const make = (): TrainableModel =>
  define(
    { x: float32(["batch", 5]), y: int64(["batch"]) },
    (_, { x }) => dense(dropout(relu(batchNorm(dense(x, 8))), 0.2), 3),
    {
      seed: 2,
    },
  );
const loss: LossFunction = (_, out, batch) => crossEntropy(out.output!, batch.y!);

function batch(key: number): { readonly x: Tensor; readonly y: Tensor } {
  const x = new Float32Array(30);
  fillUniform(x, key, -1, 1);
  const y = BigInt64Array.from({ length: 6 }, (_, i) => BigInt((i + key) % 3));
  return { x: tensorFromStorage("float32", [6, 5], x), y: tensorFromStorage("int64", [6], y) };
}

const floats = (value: Tensor): Float32Array => value.contiguous().data as unknown as Float32Array;

describe("a training step as one graph", () => {
  const cases: readonly {
    readonly optimizer: Optimizer;
    readonly clipNorm?: number;
    /** Sums are made in another order. */
    readonly rounded?: true;
  }[] = [
    { optimizer: adamw({ lr: 0.02 }) },
    { optimizer: lion() },
    { optimizer: adagrad({ initialAccumulator: 0.1 }) },
    { optimizer: sgd({ lr: 0.1, momentum: 0.9 }), clipNorm: 0.3, rounded: true },
    { optimizer: lamb({ lr: 0.05 }), rounded: true },
    { optimizer: muon({ lr: 0.05 }), clipNorm: 0.3, rounded: true },
  ];
  for (const { optimizer, clipNorm, rounded = false } of cases) {
    test(`${optimizer.name}${clipNorm === undefined ? "" : ", clipped,"} gives the ${rounded ? "numbers" : "bits"} of the bare step`, async () => {
      const options = { loss, optimizer, seed: 9, ...(clipNorm === undefined ? {} : { clipNorm }) };
      const model = make();
      const whole = oneGraph(make(), batch(0), options);
      await using step = await model.compile({ ...options, threads: 1 });
      await using engine = await Engine.open({ cache: false });
      const loaded = await engine.load(writeModel(whole.onnx), { optimization: "extended" });
      let state: Record<string, Tensor> = { ...whole.state };
      for (let at = 1; at <= 4; at++) {
        const result = await step.run(batch(at), { rate: 1 / at });
        const outputs = await loaded.run({ ...batch(at), ...state, ...whole.inputs(at, 1 / at) });
        const found = floats(outputs[whole.loss]!)[0]!;
        assert.ok(Math.abs(found - result.loss) < (rounded ? 1e-6 : 1e-30), `${found} ${result.loss}`);
        state = Object.fromEntries(
          Object.entries(whole.next).map(([name, output]) => [name, outputs[output]!]),
        );
      }
      for (const name of model.parameters) {
        const [one, two] = [floats(state[name]!), model.values(name)];
        if (!rounded) assert.deepEqual(one, two, name);
        else one.forEach((value, i) => void assert.ok(Math.abs(value - two[i]!) < 1e-6, name));
      }
      for (const [name, values] of step.buffers)
        floats(state[name]!).forEach((value, i) => void assert.ok(Math.abs(value - values[i]!) < 1e-6, name));
    });
  }
});
