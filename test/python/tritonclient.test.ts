/** The real tritonclient from PyPI against the real server: every part of its script must hold. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { resolve } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { accumulator, accumulatorConfig, modelBytes, serveRepository } from "../support/repository.js";
import { startServed } from "../support/served.js";

/** The parts of a script that held, against the server at an address. */
async function parts(script: string, ...addresses: readonly string[]): Promise<readonly string[]> {
  const path = resolve(import.meta.dirname, "../../../test/python", script);
  const { stdout } = await promisify(execFile)(process.env.TENON_PYTHON!, [path, ...addresses], {
    encoding: "utf8",
    timeout: 120_000,
  });
  const lines = stdout.trim().split("\n");
  assert.equal(lines.pop(), "done");
  return lines;
}

for (const fronts of [0, 2])
  test(`tritonclient over HTTP, ${fronts} fronts`, async () => {
    await using served = await startServed({ responseCompression: true, fronts });
    const held = await parts("tritonclient_suite.py", served.url.replace("http://", ""));
    assert.equal(held.length, 42);
  });

test("tritonclient over gRPC", async () => {
  await using served = await startServed({ responseCompression: true, grpcPort: 0 });
  const held = await parts("tritonclient_grpc_suite.py", `127.0.0.1:${served.server.grpcPort}`);
  assert.equal(held.length, 29);
});

test("tritonclient with tensors in shared memory", async () => {
  await using served = await startServed({ grpcPort: 0, extensions: ["system_shared_memory"] });
  const address = served.url.replace("http://", "");
  const held = await parts("tritonclient_shared_memory.py", address, `127.0.0.1:${served.server.grpcPort}`);
  assert.deepEqual(held, ["tritonclient.http", "tritonclient.grpc"]);
});

test("tritonclient with sequences, ensembles, kept answers and settings", async () => {
  const double = modelBytes((g) => {
    const x = g.input("x", "float32", ["N", 4]);
    g.output(g.add("Add", [x, x]), "y");
  });
  const square = modelBytes((g) => {
    const x = g.input("x", "float32", ["N", 4]);
    g.output(g.add("Mul", [x, x]), "y");
  });
  const step = (model: string, from: string, to: string): string =>
    `step { model_name: "${model}" model_version: -1 input_map { key: "x" value: "${from}" } output_map { key: "y" value: "${to}" } }`;
  await using served = await serveRepository(
    {
      "sequence/1/model.onnx": accumulator(),
      "sequence/config.pbtxt": accumulatorConfig("direct { }"),
      "texts/1/model.onnx": accumulator("string"),
      "texts/config.pbtxt": accumulatorConfig("oldest { max_candidate_sequences: 4 }", "TYPE_STRING"),
      "kept/1/model.onnx": double,
      "kept/config.pbtxt": "max_batch_size: 4 response_cache { enable: true }",
      "square/1/model.onnx": square,
      "whole/config.pbtxt": `max_batch_size: 4
        input { name: "IN" data_type: TYPE_FP32 dims: 4 } output { name: "OUT" data_type: TYPE_FP32 dims: 4 }
        ensemble_scheduling { ${step("square", "doubled", "OUT")} ${step("kept", "IN", "doubled")} }`,
    },
    "--extensions",
    "trace,logging",
    "--response-cache",
    "1MiB",
  );
  assert.deepEqual(served.ready.failed, []);
  const address = served.ready.url.replace("http://", "");
  const held = await parts("tritonclient_scheduling.py", address, `127.0.0.1:${served.ready.grpcPort}`);
  assert.equal(held.length, 12);
});
