/** `tenon run` and `tenon bench` on a model made by the builder. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { readNpz, tensor, writeNpy } from "tenon/tensor";
import { runCli } from "../support/cli.js";
import { saveMatMul } from "../support/small-models.js";

describe("tenon run", { concurrency: 2 }, () => {
  const cwd = mkdtempSync(join(tmpdir(), "tenon-run-"));
  const env = { TENON_CACHE: "off" };
  const model = saveMatMul(join(cwd, "net.onnx"));
  after(() => rmSync(cwd, { recursive: true }));

  test("prints outputs for people and for machines", async () => {
    const text = await runCli(["run", model, "--input", "x=[[1,0.1]]"], { cwd, env });
    assert.equal(text.stdout, "y float32 [1, 3]\n[[1.4, 2.5, 3.6]]\n");
    assert.match(text.stderr, /^net: .* ?(us|ms|s)\n$/);
    const json = await runCli(["run", "net.onnx", "--input", "[[1,0],[0,1]]", "--json"], { cwd, env });
    const report = JSON.parse(json.stdout);
    assert.equal(report.schema, "tenon.run/1");
    assert.deepEqual(report.outputs, [
      {
        name: "y",
        dtype: "float32",
        shape: [2, 3],
        data: [
          [1, 2, 3],
          [4, 5, 6],
        ],
      },
    ]);
  });

  test("reads arrays from files and writes outputs to one", async () => {
    writeFileSync(join(cwd, "x.npy"), writeNpy(tensor([[1, 2]])));
    const args = ["run", "net.onnx", "--input", "@x.npy", "--output", "y.npz"];
    const { stdout } = await runCli(args, { cwd, env });
    assert.equal(stdout, "y float32 [1, 3]\n");
    assert.deepEqual(readNpz(readFileSync(join(cwd, "y.npz"))).y!.toArray(), [[9, 12, 15]]);
  });

  test("each kind of failure has its exit code", async () => {
    writeFileSync(join(cwd, "empty.onnx"), "");
    writeFileSync(join(cwd, "broken.json"), "[");
    const failures: [readonly string[], number, RegExp][] = [
      [["absent.onnx"], 2, /FILE_NOT_FOUND/],
      [["empty.onnx"], 1, /MODEL_INVALID/],
      [[], 2, /missing required argument 'model'/],
      [["net.onnx"], 3, /INPUT_MISSING/],
      [["net.onnx", "--input", "z=[[1,2]]"], 3, /INPUT_UNKNOWN[\s\S]*did you mean "x"/],
      [["net.onnx", "--input", "[[1,2,3]]"], 3, /INPUT_SHAPE/],
      [["net.onnx", "--input", "[[1,2]]", "--outputs", "Y"], 3, /OUTPUT_UNKNOWN[\s\S]*"y"/],
      [["net.onnx", "--input", "x=@broken.json"], 4, /FILE_INVALID/],
      [["net.onnx", "--input", "[[1,2]]", "--output", "no/y.npz"], 2, /cannot be written/],
      [["net.onnx", "--input", "x=[[true,2]]"], 4, /INPUT_VALUE/],
    ];
    for (const [args, code, message] of failures) {
      const run = await runCli(["run", ...args], { cwd, env });
      assert.match(run.stderr, message);
      assert.equal(run.code, code, args.join(" "));
      assert.equal(run.stdout, "");
    }
  });

  test("bench measures every size and names the knee", async () => {
    const args = ["bench", model, "--time", "5ms", "--max-batch", "4", "--lanes", "1"];
    const { code, stdout, stderr } = await runCli([...args, "--json"], { cwd, env });
    assert.equal(code, 0, stderr);
    const report = JSON.parse(stdout);
    assert.deepEqual(
      report.points.map((point: { batch: number }) => point.batch),
      [1, 2, 4],
    );
    assert.ok([1, 2, 4].includes(report.knee.batch));
    assert.match((await runCli(args, { cwd, env })).stdout, /^lanes {2}batch[\s\S]*knee: batch/);
  });
});
