/** Preflight in front of the engine: what it refuses, what it changes, and that a warm load remembers it. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { isTenonError, on } from "tenon/base";
import type { Finding } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { tensorFromStorage } from "tenon/tensor";
import { ATTACKS } from "../attacks/corpus.js";
import { FLOAT, floats, modelProto, node, tensorProto, value } from "../attacks/wire.js";

const row = (...values: number[]) =>
  tensorFromStorage("float32", [1, values.length], Float32Array.from(values));

/** True for a refusal by preflight with this finding first. */
function refusedWith(code: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(isTenonError(error), String(error));
    const [first] = error.details.findings as Finding[];
    assert.equal(first?.code, code);
    assert.match(error.message, new RegExp(code));
    return true;
  };
}

describe("preflight before loading", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-preflight-"));
  after(() => rmSync(root, { recursive: true }));

  test("a pinned model may be costly, an untrusted one may not, also from a warm cache", async () => {
    const path = join(root, "costly.onnx");
    writeFileSync(path, ATTACKS["loop-2p62"].make());
    const warnings: string[] = [];
    const stop = on("model:warning", ({ model, code }) => void (model === "costly" && warnings.push(code)));
    await using engine = await Engine.open({ cache: join(root, "cache") });
    const options = { calibrate: false, batch: { max: 1 } } as const;
    const pinned = await engine.load(path, options);
    await pinned.unload();
    assert.deepEqual(warnings, ["LOOP_UNBOUNDED"]);
    for (const from of [path, readFileSync(path)]) {
      const load = engine.load(from, { ...options, name: "costly", trust: "untrusted" });
      await assert.rejects(load, refusedWith("LOOP_UNBOUNDED"));
    }
    const warm = await engine.load(path, options);
    assert.deepEqual(warnings, ["LOOP_UNBOUNDED", "LOOP_UNBOUNDED"]);
    await warm.unload();
    stop();
  });

  test("what would end the process is refused from anybody", async () => {
    await using engine = await Engine.open({ cache: false });
    for (const [name, code] of [
      ["depth-to-space-2p32", "ATTRIBUTE_RANGE"],
      ["function-with-outer-name", "FUNCTION_BODY"],
      ["functions-doubling-40", "EXPANDED_NODES"],
    ] as const) {
      await assert.rejects(engine.load(ATTACKS[name].make(), { name }), refusedWith(code));
    }
  });

  test("absent values at the end of a node are dropped, and the model runs", async () => {
    await using engine = await Engine.open({ cache: false });
    const model = await engine.load(ATTACKS["layer-normalization-empty-bias"].make(), {
      name: "norm",
      trust: "untrusted",
      calibrate: false,
    });
    const { y } = await model.run({ x: row(1, 2, 3, 4) });
    assert.deepEqual(
      (y!.toArray() as number[][])[0]!.map((each) => Math.round(each * 1000)),
      [-1342, -447, 447, 1342],
    );
  });

  test("a model that has to be changed goes on using weight files, also through the links of a hub cache", async () => {
    const blobs = join(root, "blobs");
    const snapshot = join(root, "snapshots/1/onnx");
    mkdirSync(blobs);
    mkdirSync(snapshot, { recursive: true });
    writeFileSync(join(blobs, "aa11"), Buffer.alloc(16 + 4096, Buffer.from(Float32Array.of(0.5).buffer)));
    const clip = modelProto({
      nodes: [node("Add", ["x", "w"], ["sum"]), node("Clip", ["sum", "least", ""], ["y"])],
      initializers: [
        tensorProto({
          name: "w",
          dims: [1024],
          external: { location: "model.onnx_data", offset: "16", length: "4096" },
        }),
        floats("least", [], [0]),
      ],
      inputs: [value("x", FLOAT, ["N", 1024])],
      outputs: [value("y", FLOAT, ["N", 1024])],
    });
    writeFileSync(join(blobs, "bb22"), clip);
    symlinkSync("../../../blobs/aa11", join(snapshot, "model.onnx_data"));
    symlinkSync("../../../blobs/bb22", join(snapshot, "model.onnx"));
    await using engine = await Engine.open({ cache: false });
    const model = await engine.load(join(snapshot, "model.onnx"), { calibrate: false });
    const x = tensorFromStorage("float32", [1, 1024], new Float32Array(1024).fill(-0.25));
    const { y } = await model.run({ x });
    assert.equal(y!.at(0, 1023), 0.25);
  });
});
