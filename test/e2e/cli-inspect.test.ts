/** `tenon inspect` on a model made by the builder, on weight files, and on files that are none. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { tensor } from "tenon/tensor";
import { saveSafetensors } from "tenon/torch";
import { checkpoint, op, pickle, pickledTensor } from "../support/archives.js";
import { runCli } from "../support/cli.js";
import { saveMatMul } from "../support/small-models.js";

describe("tenon inspect", { concurrency: 2 }, () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-inspect-"));
  after(() => rmSync(cwd, { recursive: true }));
  saveMatMul(join(cwd, "net.onnx"));

  test("prints signature, ops, weights and graph", async () => {
    const { code, stdout } = await runCli(["inspect", "net.onnx", "--weights", "--graph"], { cwd });
    assert.equal(code, 0);
    assert.match(stdout, /^net\.onnx {2}ONNX ir 10, opset 17, 1 nodes, 1 weights \(6 values, 24 B\)$/m);
    assert.match(stdout, /^in +x: f32\[batch, 2\]$/m);
    assert.match(stdout, /^out +y: /m);
    assert.match(stdout, /^w {2}float32\[2, 3\] {2}24 B$/m);
    assert.match(stdout, /%y.* = MatMul/);
  });

  test("the same as JSON", async () => {
    const { stdout } = await runCli(["inspect", "net.onnx", "--weights", "--json"], { cwd });
    const report = JSON.parse(stdout);
    assert.equal(report.schema, "tenon.inspect/1");
    assert.deepEqual(report.ops, { MatMul: 1 });
    assert.deepEqual(report.tensors, [{ name: "w", dtype: "float32", dims: [2, 3], bytes: 24 }]);
    assert.equal(report.graph, undefined);
  });

  test("weights and their file's texts", async () => {
    const weights = { a: tensor([[1, 2, 3]]), b: tensor([1n]) };
    await saveSafetensors(join(cwd, "net.safetensors"), weights, { metadata: { format: "pt\u001b[2J" } });
    const { code, stdout } = await runCli(["inspect", "net.safetensors", "--weights"], { cwd });
    assert.equal(code, 0);
    assert.match(stdout, /^net\.safetensors {2}safetensors, 2 weights \(4 values, 20 B\)$/m);
    assert.match(stdout, /^dtypes float32 1 · int64 1$/m);
    assert.match(stdout, /^with +format pt\ufffd\[2J$/m);
    assert.match(stdout, /^a {2}float32\[1, 3\] {2}12 B$/m);
    const { stdout: json } = await runCli(["inspect", "net.safetensors", "--json"], { cwd });
    assert.equal(JSON.parse(json).weights.values, 4);
  });

  test("a checkpoint that wants something called is refused", async () => {
    const demand = op.call("posix", "system", op.text("id"));
    const part = pickledTensor({ count: 1, shape: [1], strides: [1] });
    writeFileSync(
      join(cwd, "evil.pth"),
      checkpoint(pickle(op.dict({ part, demand })), { 0: new Uint8Array(4) }),
    );
    const { code, stderr } = await runCli(["inspect", "evil.pth"], { cwd });
    assert.equal(code, 4);
    assert.match(stderr, /posix\.system/);
  });

  test("files that are no model are refused", async () => {
    writeFileSync(join(cwd, "broken.onnx"), "no model");
    const broken = await runCli(["inspect", "broken.onnx"], { cwd });
    assert.equal(broken.code, 1);
    assert.match(broken.stderr, /MODEL_INVALID/);
    const absent = await runCli(["inspect", "absent.onnx"], { cwd });
    assert.equal(absent.code, 2);
    assert.match(absent.stderr, /FILE_NOT_FOUND/);
  });
});
