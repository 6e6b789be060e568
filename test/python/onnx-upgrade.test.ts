/** Upgrade: official cases of older opsets give the recorded outputs before and after. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Engine, type Outputs } from "tenon";
import { readModel, upgrade, writeModel } from "tenon/onnx";
import { tensorFromStorage } from "tenon/tensor";
import { readCaseValue } from "../conformance/case-data.js";
import { runCases } from "../conformance/runner.js";
import { modelsOf } from "./onnx-cases.js";

const OLDEST = 7;

/** Cases that pass only as they are. */
const KEPT = new Map([
  ["test_scan_sum", "Scan of opset 8 has a batch axis, and is refused"],
  ["test_swish", "ONNX Runtime has no kernel, and knows the op's body at opset 24 only"],
]);

/** Cases of a suite whose opset lies between the oldest that is upgraded and `target`. */
async function olderThan(suite: Parameters<typeof modelsOf>[0], target: number): Promise<string[]> {
  const paths: string[] = [];
  for (const path of modelsOf(suite)) {
    const opset = (await readModel(path)).opsets.get("") ?? target;
    if (opset >= OLDEST && opset < target) paths.push(path);
  }
  return paths;
}

/** Cases that pass as they are and no longer when they are upgraded. */
async function lostBy(paths: readonly string[], target: number): Promise<string[]> {
  const before = await runCases(paths);
  const after = await runCases(paths, { TENON_CASE_OPSET: String(target) });
  return after
    .filter(({ name, status }, i) => before[i]!.status === "pass" && status !== "pass" && !KEPT.has(name))
    .map(({ name, status, reason }) => `${name}: ${status} ${reason}`);
}

/** The newest opset is tried on a part: what changed up to 20 is in both. */
test("node: every fifth case that passed passes at opset 26", async () => {
  const paths = (await olderThan("node", 26)).filter((_, i) => i % 5 === 0);
  assert.deepEqual(await lostBy(paths, 26), []);
});

for (const [suite, target, least] of [
  ["node", 20, 300],
  ["simple", 20, 10],
] as const) {
  test(`${suite}: what passed passes at opset ${target}`, async () => {
    const paths = await olderThan(suite, target);
    assert.ok(paths.length >= least, `${paths.length} cases`);
    assert.deepEqual(await lostBy(paths, target), []);
  });
}

test("light: the outputs are the same at opset 20", async () => {
  const engine = await Engine.open({ cache: false, lanes: 1 });
  try {
    for (const path of modelsOf("light")) {
      const model = await readModel(path);
      const recorded = await readCaseValue(
        new Uint8Array(readFileSync(path.replace(".onnx", "_output_0.pb"))),
        undefined,
      );
      const [input] = model.graph.inputs;
      const shape = input!.type?.kind === "tensor" ? (input!.type.shape as number[]) : [];
      const size = shape.reduce((product, dim) => product * dim, 1);
      const x = tensorFromStorage(
        "float32",
        shape,
        Float32Array.from({ length: size }, (_, i) => i / size),
      );
      const run = async (bytes: Uint8Array): Promise<Outputs> => {
        const loaded = await engine.load(bytes, { name: "light", calibrate: false });
        const outputs = await loaded.run({ [input!.name]: x });
        await loaded.unload();
        return outputs;
      };
      const before = await run(writeModel(model));
      const after = await run(writeModel(upgrade(model, 20)));
      assert.deepEqual(after[model.graph.outputs[0]!.name]!.shape, (recorded as { shape: unknown }).shape);
      for (const [name, value] of Object.entries(before)) {
        assert.deepEqual(after[name]!.toArray(), value.toArray(), path);
      }
    }
  } finally {
    await engine.close();
  }
});
