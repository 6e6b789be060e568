/** The models that tests and benches share: each builds, loads, runs and shows the behaviour it stands for. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { type OnnxModel, writeModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { type DType, StringStorage, tensorFromStorage, zeros } from "tenon/tensor";
import { MODELS } from "./support/models.js";
import {
  addModel,
  identityModel,
  longLoopModel,
  nonZeroModel,
  rowMixingModel,
  twoOutputsModel,
} from "./support/small-models.js";

const IDENTITY_DTYPES: readonly DType[] = [
  "float64",
  "float32",
  "float16",
  "bfloat16",
  "int64",
  "int32",
  "int16",
  "int8",
  "uint64",
  "uint32",
  "uint16",
  "uint8",
  "bool",
  "string",
];

describe("models for tests and benches", () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false });
  });
  after(() => engine.close());

  async function load(model: OnnxModel, name: string) {
    return engine.load(writeModel(model), { name, calibrate: false });
  }

  for (const name of ["mlp", "cnn", "squeezenet"] as const) {
    test(`reference model ${name} is batchable and gives finite values`, async () => {
      const model = await load(MODELS[name].build(), name);
      assert.ok(model.maxBatch > 1, "the rows of a reference model are independent");
      const { y } = await model.run(MODELS[name].inputs(2));
      assert.equal(y!.shape[0], 2);
      assert.ok((y!.data as Float32Array).every(Number.isFinite));
    });
  }

  test("the same seed gives the same weights", () => {
    const [a, b] = [writeModel(MODELS.mlp.build()), writeModel(MODELS.mlp.build())];
    assert.equal(Buffer.compare(a, b), 0);
  });

  for (const dtype of IDENTITY_DTYPES) {
    test(`identity of ${dtype}`, async () => {
      const model = await load(identityModel(dtype), `identity-${dtype}`);
      const x =
        dtype === "string"
          ? tensorFromStorage("string", [1, 3], StringStorage.fromStrings(["", "é", "three"]))
          : zeros(dtype, [1, 3]);
      const { y } = await model.run({ x });
      assert.equal(y!.dtype, dtype);
      assert.deepEqual(y!.toArray(), x.toArray());
    });
  }

  test("the sum, and two outputs", async () => {
    const x = tensorFromStorage("float32", [1, 4], Float32Array.of(1, 4, 3, 2));
    const sum = await load(addModel(), "add");
    assert.deepEqual((await sum.run({ a: x, b: x })).sum!.toArray(), [[2, 8, 6, 4]]);
    const two = await load(twoOutputsModel(), "two");
    const { double, largest } = await two.run({ x });
    assert.deepEqual(double!.toArray(), [[2, 8, 6, 4]]);
    assert.deepEqual(largest!.toArray(), [[1n]]);
  });

  test("rows that mix are seen at load", async () => {
    const model = await load(rowMixingModel(), "mixing");
    assert.equal(model.maxBatch, 0);
  });

  test("a shape that depends on the values", async () => {
    const model = await load(nonZeroModel(), "non-zero");
    const { places } = await model.run({ x: tensorFromStorage("float32", [4], Float32Array.of(0, 1, 0, 2)) });
    assert.deepEqual(places!.toArray(), [[1n, 3n]]);
  });

  test("a long loop can be cancelled while it runs", async () => {
    const model = await load(longLoopModel(), "loop");
    const abort = new AbortController();
    const rounds = tensorFromStorage("int64", [], BigInt64Array.of(10_000_000n));
    const running = model.run({ rounds, x: zeros("float32", [64, 64]) }, { signal: abort.signal });
    setTimeout(() => abort.abort(), 50);
    await assert.rejects(running, { code: "CANCELLED" });
  });
});
