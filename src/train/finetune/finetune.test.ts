/** Fine-tuning: which constants train, what stays as it was, LoRA beside and inside the weights, heads, dropout. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { graph, type OnnxModel, readModel, readTensor, writeModel } from "../../onnx/index.js";
import { Engine } from "../../runtime/index.js";
import { type Tensor, tensor, tensorFromStorage } from "../../tensor/index.js";
import { openAdapter, saveSafetensors } from "../../torch/index.js";
import { dense } from "../layers/dense.js";
import { crossEntropy, mse } from "../losses.js";
import { mean } from "../model/ops.js";
import type { TrainableModel } from "../model/trainable.js";
import { adamw, sgd } from "../optimizers/rows.js";
import { fillUniform } from "../random.js";
import type { LossFunction } from "../step/options.js";
import { finetune } from "./finetune.js";

let key = 1;
function random(...shape: number[]): Tensor {
  const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
  fillUniform(values, key++, -0.7, 0.7);
  return tensorFromStorage("float32", shape, values);
}

/** A word encoder as exporters write it: opset 17, a shared zero bias, a transposed weight, a mask, an erf Gelu. */
function exported(): OnnxModel {
  key = 1;
  const g = graph({ opset: 17 });
  const ids = g.input("ids", "int64", ["batch", "length"]);
  const words = g.initializer("embeddings.weight", random(12, 8));
  const zero = g.initializer("layer.0.bias", tensorFromStorage("float32", [8], new Float32Array(8)));
  const second = g.add("Identity", [zero], {}, { outputs: "layer.1.bias" });
  const query = g.initializer("onnx::MatMul_7", random(8, 8));
  const value = g.initializer("value.weight", random(8, 8));
  const [scale, shift] = [g.initializer("norm.weight", random(8)), g.initializer("norm.bias", random(8))];
  const mask = g.initializer("attn_mask", tensorFromStorage("float32", [1, 8], new Float32Array(8)));
  const root = g.initializer("/Constant_output_0", tensor(Math.SQRT2, { dtype: "float32" }).reshape([]));
  const x = g.add("Gather", [words, ids]);
  const h = g.add("Add", [g.add("Add", [g.add("MatMul", [x, query]), zero]), mask]);
  const erf = g.add("Erf", [g.add("Div", [h, root])]);
  const one = g.initializer("/Constant_output_1", tensor(1, { dtype: "float32" }).reshape([]));
  const half = g.initializer("/Constant_output_2", tensor(0.5, { dtype: "float32" }).reshape([]));
  const gelu = g.add("Mul", [g.add("Mul", [h, g.add("Add", [erf, one])]), half]);
  const turned = g.add("Transpose", [value], { perm: [1, 0] });
  const y = g.add("Add", [g.add("MatMul", [gelu, turned]), second]);
  g.output(g.add("LayerNormalization", [y, scale, shift], { axis: -1 }), "hidden", {
    kind: "tensor",
    dtype: "float32",
    shape: ["batch", "length", 8],
  });
  return g.model();
}

const ALL = [
  "embeddings.weight",
  "layer.0.bias",
  "layer.1.bias_value",
  "norm.bias",
  "norm.weight",
  "onnx::MatMul_7",
  "value.weight",
];
const IDS = tensor([
  [1n, 2n, 3n],
  [4n, 5n, 6n],
]);
const TARGET = tensorFromStorage(
  "float32",
  [2, 3, 8],
  Float32Array.from({ length: 48 }, (_, i) => Math.sin(i)),
);
const BATCH = { ids: IDS, target: TARGET };
const loss: LossFunction = (_, out, batch) => mse(out.hidden!, batch.target!);
const floats = (value: Tensor): Float32Array => value.contiguous().data as unknown as Float32Array;

async function trained(model: TrainableModel, steps = 3): Promise<number[]> {
  await using step = await model.compile({ loss, optimizer: adamw({ lr: 0.01 }) });
  const losses: number[] = [];
  for (let i = 0; i < steps; i++) losses.push((await step.run(BATCH)).loss);
  losses.push((await step.evaluate(BATCH)).loss);
  return losses;
}

async function hidden(model: OnnxModel, ids: Tensor = IDS): Promise<Float32Array> {
  await using engine = await Engine.open({ cache: false });
  const loaded = await engine.load(writeModel(model));
  return floats((await loaded.run({ ids })).hidden!);
}

function near(found: Float32Array, expected: Float32Array, tolerance: number): void {
  assert.equal(found.length, expected.length);
  found.forEach((value, i) => {
    assert.ok(Math.abs(value - expected[i]!) <= tolerance, `${value} is not ${expected[i]}`);
  });
}

describe("finetune", () => {
  test("trains the weights of an export, equal ones apart, and exports it for any size", async () => {
    const model = await finetune(exported());
    assert.deepEqual([...model.parameters].sort(), ALL);
    const losses = await trained(model);
    assert.ok(losses.at(-1)! < losses[0]!, losses.join());
    assert.notDeepEqual(model.values("layer.0.bias"), model.values("layer.1.bias_value"));
    const ids = tensor([[1n], [2n], [3n], [4n]]);
    assert.equal((await hidden(await readModel(writeModel(model.toOnnx())), ids)).length, 4 * 8);
  });

  test("leaves frozen weights as they were, byte for byte", async () => {
    const before = exported();
    const model = await finetune(before, { freeze: [/^embeddings/, "value.weight"] });
    await trained(model);
    const after = model.toOnnx().graph.initializers;
    for (const name of ["embeddings.weight", "value.weight", "attn_mask"])
      assert.deepEqual(
        readTensor(after.get(name)!).bytes,
        readTensor(before.graph.initializers.get(name)!).bytes,
        name,
      );
    assert.notDeepEqual(
      readTensor(after.get("norm.bias")!).bytes,
      readTensor(before.graph.initializers.get("norm.bias")!).bytes,
    );
    const chosen = await finetune(before, { train: [/norm/], freeze: ["norm.bias"] });
    assert.deepEqual(chosen.parameters, ["norm.weight"]);
  });

  test("gives folded weights their names back", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tenon-names-"));
    try {
      const weights = readTensor(exported().graph.initializers.get("onnx::MatMul_7")!);
      await saveSafetensors(join(folder, "w.safetensors"), {
        other: random(8, 8),
        "query.weight": weights.transpose().contiguous(),
      });
      const model = await finetune(exported(), { names: join(folder, "w.safetensors") });
      assert.ok(model.parameters.includes("query.weight"), model.parameters.join());
      assert.ok(!model.parameters.includes("onnx::MatMul_7"));
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("LoRA starts as the model, trains beside it, and merges to the same function", async () => {
    const base = exported();
    const model = await finetune(base, { lora: { rank: 2, alpha: 6 } });
    assert.deepEqual([...model.parameters].sort(), [
      "onnx::MatMul_7.lora_A.weight",
      "onnx::MatMul_7.lora_B.weight",
      "value.lora_A.weight",
      "value.lora_B.weight",
    ]);
    const start = await hidden(base);
    near(await hidden(model.toOnnx()), start, 1e-6);
    const losses = await trained(model, 5);
    assert.ok(losses.at(-1)! < losses[0]!, losses.join());
    const now = await hidden(model.toOnnx());
    assert.ok(now.some((value, i) => Math.abs(value - start[i]!) > 1e-3));
    const merged = model.merge();
    assert.ok(![...merged.graph.initializers.keys()].some((name) => name.includes("lora")));
    near(await hidden(merged), now, 1e-6);
  });

  test("saves LoRA as an adapter that PEFT's reader here takes", async () => {
    const folder = await mkdtemp(join(tmpdir(), "tenon-adapter-"));
    try {
      const model = await finetune(exported(), { lora: { rank: 2, match: /^value/ } });
      await trained(model, 2);
      await model.saveAdapter(folder);
      const adapter = await openAdapter(folder);
      assert.deepEqual(
        adapter.changes.map(({ module, a, b, scale }) => [module, a.shape, b.shape, scale]),
        [["value", [2, 8], [8, 2], 1]],
      );
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test("puts a new head on what the model gives, and trains it alone or with the rest", async () => {
    const head = {
      head: (_: unknown, out: Parameters<LossFunction>[1]) => ({
        scores: dense(mean(out.hidden!, { axes: [1] }), 2),
      }),
    };
    const alone = await finetune(exported(), head);
    assert.deepEqual(alone.parameters, ["linear.weight", "linear.bias"]);
    const all = await finetune(exported(), { ...head, train: [/./] });
    assert.equal(all.parameters.length, ALL.length + 2);
    await using step = await alone.compile({
      loss: (_, out, batch) => crossEntropy(out.scores!, batch.label!),
      optimizer: sgd({ lr: 0.5 }),
    });
    const batch = { ids: IDS, label: BigInt64Array.of(0n, 1n) };
    const first = await step.run(batch);
    for (let i = 0; i < 20; i++) await step.run(batch);
    assert.ok((await step.evaluate(batch)).loss < first.loss / 2);
    assert.deepEqual(
      alone.toOnnx().graph.outputs.map(({ name }) => name),
      ["scores"],
    );
  });

  test("puts dropout back for training, and leaves the exported function as it is", async () => {
    const model = await finetune(exported(), { dropout: 0.3 });
    const plain = await hidden(exported());
    near(await hidden(model.toOnnx()), plain, 1e-6);
    await using step = await model.compile({ loss, optimizer: sgd({ lr: 0 }) });
    const [one, two] = [await step.run(BATCH), await step.run(BATCH)];
    assert.notEqual(one.loss, two.loss);
  });

  test("refuses patterns that match nothing, and models with nothing left to train", async () => {
    await assert.rejects(finetune(exported(), { freeze: [/pooler/] }), {
      code: "USAGE",
      message: /embeddings\.weight/,
    });
    await assert.rejects(finetune(exported(), { freeze: [/./] }), { code: "USAGE" });
    await assert.rejects(finetune(exported(), { lora: { rank: 0 } }), { code: "USAGE" });
    await assert.rejects(finetune(exported(), { lora: { rank: 1, match: /nothing/ } }), { code: "USAGE" });
    await assert.rejects(finetune(exported(), { dropout: 1 }), { code: "USAGE" });
    await assert.rejects(finetune(new Uint8Array([1, 2, 3])), { code: "MODEL_INVALID" });
  });
});
