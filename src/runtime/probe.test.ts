/** Probes: which shapes are tried, and the values. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import { graph } from "../onnx/index.js";
import { Engine } from "./engine.js";
import { overProbeLimit, probeOfShape } from "./probe.js";

suite("probes", () => {
  test("have at most 2^24 elements over all inputs", () => {
    assert.equal(overProbeLimit([[1, 2 ** 23], [2 ** 23]]), undefined);
    assert.match(overProbeLimit([[1, 2 ** 23], [2 ** 23 + 1]])!, /16777217 elements/);
    assert.match(overProbeLimit([[2 ** 40, 2 ** 40]])!, /elements/);
  });

  test("repeat what was drawn, so that large ones take no time, and rows still differ", () => {
    const { data } = probeOfShape("float32", [3, 65_536], 7);
    const values = data as Float32Array;
    assert.deepEqual(values.subarray(65_521, 65_521 + 100), values.subarray(0, 100));
    assert.notDeepEqual(values.subarray(0, 100), values.subarray(65_536, 65_536 + 100));
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    assert.ok(Math.abs(mean) < 0.02, `normal values of mean 0, not ${mean}`);
  });

  for (const dims of [
    ["N", 2 ** 32],
    [4, 2 ** 30],
  ]) {
    test(`a model whose input is declared as ${dims} loads without any of it being made`, async () => {
      const g = graph({ name: "vast" });
      const x = g.input("x", "float32", dims);
      g.output(g.add("ReduceMax", [x], { keepdims: 0 }), "y");
      await using engine = await Engine.open({ cache: false });
      const before = process.memoryUsage().arrayBuffers;
      const model = await engine.load(g.model(), { name: "vast", warmup: true });
      assert.equal(model.maxBatch, 0);
      assert.ok(process.memoryUsage().arrayBuffers - before < 1 << 24);
    });
  }
});
