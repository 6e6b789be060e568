/** Integer products against float ones: how near, whether rows see each other, what the probe finds. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { graph, type OnnxModel, run } from "../../onnx/index.js";
import { Engine } from "../../runtime/index.js";
import { type Tensor, tensorFromStorage } from "../../tensor/index.js";
import { int8Row, roomProbe, weightRoom } from "./int8-row.js";

const SIZE = 64;
const wave = (length: number, step: number): Float32Array =>
  Float32Array.from({ length }, (_, i) => Math.sin(i * step) * (1 + (i % 7)));

/** Two products on one value, one of a turned weight, one behind the other, and one that is too small. */
function model(): OnnxModel {
  const g = graph();
  const x = g.input("x", "float32", ["batch", "sequence", SIZE]);
  const matrix = (name: string, shape: readonly number[], step: number): string =>
    g.initializer(name, tensorFromStorage("float32", shape, wave(shape[0]! * shape[1]!, step)) as Tensor);
  const turned = g.add("Transpose", [matrix("a", [80, SIZE], 0.3)], { perm: [1, 0] });
  const first = g.add("MatMul", [x, turned]);
  g.output(g.add("MatMul", [first, matrix("b", [80, SIZE], 0.7)]), "chained");
  g.output(g.add("MatMul", [x, matrix("c", [SIZE, SIZE], 0.9)]), "beside");
  g.output(g.add("MatMul", [x, matrix("d", [SIZE, 8], 1.1)]), "small");
  return g.model();
}

describe("int8-row", () => {
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 1 });
  });
  after(() => engine.close());

  test("products stay near, rows do not see each other, zeros stay zeros", async () => {
    const probe = await engine.load(roomProbe(), { name: "probe", batch: { max: 1 }, calibrate: false });
    const room = await weightRoom((x) => probe.run({ x }));
    const whole = model();
    const quantised = run(whole, [int8Row(room)]);
    const ops = quantised.graph.nodes.map(({ op }) => op);
    assert.equal(ops.filter((op) => op === "MatMulInteger").length, 3);
    assert.equal(ops.filter((op) => op === "QuantizeLinear").length, 2);
    assert.equal(ops.filter((op) => op === "MatMul").length, 1);
    const [plain, int8] = [
      await engine.load(whole, { name: "plain", batch: { max: 1 }, calibrate: false }),
      await engine.load(quantised, { name: "int8", batch: { max: 1 }, calibrate: false }),
    ];
    const values = wave(3 * 2 * SIZE, 0.37);
    values.fill(0, 4 * SIZE, 5 * SIZE);
    const x = tensorFromStorage("float32", [3, 2, SIZE], values) as Tensor;
    const [expected, got] = [await plain.run({ x }), await int8.run({ x })];
    const alone = await int8.run({ x: x.slice([1, 2]) });
    for (const [name, share] of [
      ["chained", 0.15],
      ["beside", 0.15],
      ["small", 1e-6],
    ] as const) {
      const [a, b, c] = [expected[name]!, got[name]!, alone[name]!].map(
        (t) => t.data as unknown as Float32Array,
      );
      assert.deepEqual(got[name]!.shape, expected[name]!.shape);
      const most = Math.max(...a!.map(Math.abs));
      a!.forEach((value, i) => {
        assert.ok(Math.abs(value - b![i]!) < share * most, `${name} ${i}: ${value} and ${b![i]}`);
      });
      assert.deepEqual([...b!.subarray(c!.length, 2 * c!.length)], [...c!]);
      assert.ok(b!.subarray((4 * b!.length) / 6, (5 * b!.length) / 6).every((value) => value === 0));
    }
  });
});
