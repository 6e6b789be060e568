/** Tests of compiled models whose packed weights lie at odd places. */
import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { graph, writeModel } from "../onnx/index.js";
import { tensor } from "../tensor/index.js";
import { Engine } from "./engine.js";
import { packedOffsets } from "./prepacked.js";

test("offsets of every packed block are found", () => {
  const entry = (key: string, value: string): string =>
    `\n\x0b${key}\x12${String.fromCharCode(value.length)}${value}p\x01`;
  const model = Buffer.from(
    entry("offset", "12") +
      entry("prepacked_0", "MatMul+15369080751505971080|6898848;176640;0") +
      entry("prepacked_11", "Gemm+7|64;10;0|128;4;0") +
      entry("location", "weights.bin"),
    "latin1",
  );
  assert.deepEqual(packedOffsets(model), [6898848, 64, 128]);
});

test("a model whose small weights have odd lengths runs from the cache as without it", async () => {
  const g = graph();
  const ramp = (size: number): Float32Array =>
    Float32Array.from({ length: size }, (_, i) => ((i * 37) % 101) / 1000 - 0.05);
  let value = g.input("x", "float32", ["batch", 120]);
  const widths = [120, 360, 120, 257, 120];
  for (let layer = 1; layer < widths.length; layer++) {
    const [rows, columns] = [widths[layer - 1]!, widths[layer]!];
    const weight = g.initializer(`w${layer}`, tensor(ramp(rows * columns), { shape: [rows, columns] }));
    const bias = g.initializer(`b${layer}`, tensor(ramp(columns)));
    value = g.add("Tanh", [g.add("Add", [g.add("MatMul", [value, weight]), bias])]);
  }
  g.output(value, "y");
  const model = writeModel(g.model());
  const inputs = { x: tensor(ramp(240), { shape: [2, 120] }) };

  const cache = await mkdtemp(join(tmpdir(), "tenon-test-"));
  try {
    const results: Uint8Array[] = [];
    for (const folder of [false, cache, cache] as const) {
      await using engine = await Engine.open({ cache: folder });
      const loaded = await engine.load(model, { name: "odd" });
      results.push((await loaded.run(inputs)).y!.clone().bytes);
    }
    assert.deepEqual(results[1], results[0], "freshly compiled");
    assert.deepEqual(results[2], results[0], "read from the cache");
  } finally {
    await rm(cache, { recursive: true, force: true });
  }
});
