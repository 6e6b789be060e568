/** Requests of other lengths in one run: proved harmless by the model's own answers, or kept apart. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Engine, type Model, type Outputs } from "tenon";
import { graph, type OnnxModel } from "tenon/onnx";
import { type Tensor, tensor, tensorFromStorage } from "tenon/tensor";
import { encoder } from "../support/encoder.js";
import { seededRandom } from "../support/random.js";

const SIZES = { layers: 2, width: 32, heads: 2, inner: 64, vocabulary: 50, positions: 40 };
const LENGTHS = [17, 20, 18, 19, 20, 17, 5, 8, 7, 9];

function ids(length: number, rows: number, mask?: (at: number) => bigint): Record<string, Tensor> {
  const random = seededRandom(length);
  const filled = (value: (at: number) => bigint): Tensor =>
    tensorFromStorage(
      "int64",
      [rows, length],
      BigInt64Array.from({ length: rows * length }, (_, i) => value(i)),
    ) as Tensor;
  return {
    input_ids: filled(() => BigInt(Math.floor(random() * 50))),
    attention_mask: filled(mask ?? (() => 1n)),
    token_type_ids: filled(() => 0n),
  };
}

/** The largest difference of two answers, which have the same outputs. */
function difference(a: Outputs, b: Outputs): number {
  let most = 0;
  for (const [name, { shape, data }] of Object.entries(a)) {
    assert.deepEqual(b[name]!.shape, shape);
    const other = b[name]!.data as unknown as Float32Array;
    (data as unknown as Float32Array).forEach((value, i) => {
      most = Math.max(most, Math.abs(value - other[i]!));
    });
  }
  return most;
}

/** The mean of all places of `x` [N, S], whatever they are. */
function meanOfAll(): OnnxModel {
  const g = graph({ opset: 20, name: "mean-of-all" });
  const x = g.input("x", "float32", ["N", "S"]);
  const axis = g.initializer("axis", tensor([1n], { dtype: "int64" }));
  g.output(g.add("ReduceMean", [x, axis], { keepdims: 1 }), "y");
  return g.model();
}

/** The largest of all places of each row of `x` [N, S], as they are or looked up in a table of two columns. */
function largestOfAll(kind: "float32" | "int64"): OnnxModel {
  const g = graph({ opset: 20, name: "largest-of-all" });
  const x = g.input("x", kind, ["N", "S"]);
  const table = g.initializer(
    "table",
    tensor(
      [
        [0.5, 0.25],
        [-1, -2],
        [-3, -4],
      ],
      { dtype: "float32" },
    ),
  );
  const axis = g.initializer("axis", tensor([1n], { dtype: "int64" }));
  const looked = kind === "int64" ? g.add("Gather", [table, x]) : x;
  g.output(g.add("ReduceMax", [looked, axis], { keepdims: kind === "int64" ? 0 : 1 }), "y");
  return g.model();
}

for (const isolation of ["inline", "process"] as const)
  describe(`requests of other lengths, ${isolation}`, () => {
    let engine: Engine;
    before(async () => {
      engine = await Engine.open({ cache: false, lanes: 1, isolation });
    });
    after(() => engine.close());

    const shared = (model: Model) => model.explain().filter(({ padRatio }) => padRatio > 1);

    test("share runs of an encoder, and each has what it has alone", async () => {
      await using model = await engine.load(encoder(SIZES), { name: "encoder", calibrate: false });
      const { padding } = model.profile.batch;
      assert.deepEqual([padding?.harmless, padding?.dim, padding?.masks], [true, "S", [1]], padding?.reason);
      await using alone = await engine.load(encoder(SIZES), { name: "alone", batch: { max: 1 } });
      // The second request has a row that ends early, the third two rows.
      const requests = LENGTHS.map((length, i) =>
        ids(length, i === 2 ? 2 : 1, i === 1 ? (at) => (at < 12 ? 1n : 0n) : undefined),
      );
      // The first run alone learns the shape.
      await model.run(requests[0]!);
      const answers = await Promise.all(requests.map((inputs) => model.run(inputs)));
      for (const [i, answer] of answers.entries()) {
        const far = difference(await alone.run(requests[i]!), answer);
        assert.ok(far < 1e-6 * 4, `request ${i}: ${far}`);
      }
      assert.ok(shared(model).length > 0, "no run was shared");
      assert.ok(
        shared(model).every(({ padRatio }) => padRatio < 1.4),
        "too much padding",
      );
    });

    test("a request that masks everything is left alone", async () => {
      await using model = await engine.load(encoder(SIZES), { name: "masked", calibrate: false });
      await using alone = await engine.load(encoder(SIZES), { name: "unmasked", batch: { max: 1 } });
      const requests = [17, 18, 20].map((length) => ids(length, 1, () => 0n));
      const answers = await Promise.all(requests.map((inputs) => model.run(inputs)));
      for (const [i, answer] of answers.entries())
        assert.ok(difference(await alone.run(requests[i]!), answer) < 4e-6, `request ${i}`);
      assert.equal(shared(model).length, 0);
    });

    test("one that is too long for the model fails by itself", async () => {
      const short = { ...SIZES, positions: 18 };
      await using model = await engine.load(encoder(short), { name: "short", calibrate: false });
      assert.equal(model.profile.batch.padding?.harmless, true, model.profile.batch.padding?.reason);
      await model.run(ids(17, 1));
      const answers = await Promise.allSettled([17, 20, 18, 17].map((length) => model.run(ids(length, 1))));
      assert.deepEqual(
        answers.map(({ status }) => status),
        ["fulfilled", "rejected", "fulfilled", "fulfilled"],
      );
    });

    for (const kind of ["float32", "int64"] as const)
      test(`are kept apart where the largest of all places counts, ${kind}`, async () => {
        await using model = await engine.load(largestOfAll(kind), { name: kind, calibrate: false });
        assert.match(model.profile.batch.padding?.reason ?? "", /filled up change in output "y"/);
      });

    test("are kept apart where padding counts, and where lengths are not of one kind", async () => {
      await using mean = await engine.load(meanOfAll(), { name: "mean", calibrate: false });
      assert.match(mean.profile.batch.padding?.reason ?? "", /filled up change in output "y"/);
      const x = (length: number) =>
        tensorFromStorage("float32", [1, length], new Float32Array(length).fill(length)) as Tensor;
      const answers = await Promise.all([17, 18, 20, 18].map((length) => mean.run({ x: x(length) })));
      assert.deepEqual(
        answers.map(({ y }) => y!.toArray()),
        [[[17]], [[18]], [[20]], [[18]]],
      );
      const g = graph({ opset: 20, name: "two" });
      g.output(
        g.add("Concat", [g.input("a", "float32", ["N", "S"]), g.input("b", "float32", ["N", "T"])], {
          axis: 1,
        }),
        "y",
      );
      await using two = await engine.load(g.model(), { name: "two", calibrate: false });
      assert.match(two.profile.batch.padding?.reason ?? "", /several dimensions are free: S, T/);
    });
  });
