/** Folders, options and inputs that are wrong on purpose: refused with a code of ours, before they cost anything. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type EmbedderOptions, embedder, type ImageRules, preprocess } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { type JsonFiles, module, saveTinyEmbedder } from "../support/tiny-embedder.js";

describe("an embedder that is given nonsense", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-hostile-"));
  let engine: Engine;
  let count = 0;
  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 1 });
  });
  after(async () => {
    await engine.close();
    rmSync(root, { recursive: true });
  });

  const open = async (files: JsonFiles, options: object = {}) => {
    const folder = await saveTinyEmbedder(join(root, `m${count++}`), files);
    return embedder(folder, { engine, ...(options as EmbedderOptions) });
  };
  const modules = (path: string): JsonFiles => ({
    "modules.json": [module(0, path, "Transformer"), module(1, "1_Pooling", "Pooling")],
  });

  test("modules that lead out of the folder, or nowhere", async () => {
    for (const path of ["../m0", "/etc", "..\\m0", "C:/m0", "a\0b", "a\nb"])
      await assert.rejects(open(modules(path)), { code: "FILE_INVALID" }, JSON.stringify(path));
    for (const path of ["not-there", "x".repeat(5000), "tokenizer.json"])
      await assert.rejects(open(modules(path)), { code: "MODEL_INCOMPLETE" }, path.slice(0, 20));
    await assert.rejects(open({ "modules.json": [{ path: "", type: "__proto__" }] }), {
      code: "MODEL_UNSUPPORTED",
      message: /given: __proto__; expected/,
    });
  });

  test("what is no folder and no name", async () => {
    for (const given of ["nope\0", 3, undefined, null, {}])
      await assert.rejects(embedder(given as string, { engine }), { code: "USAGE" }, String(given));
  });

  test("options of other kinds", async () => {
    const cases: readonly (readonly [options: object, code: string])[] = [
      [{ truncate: "middle" }, "USAGE"],
      [{ prompts: { query: 3 } }, "CONFIG_INVALID"],
      [{ normalize: "yes" }, "CONFIG_INVALID"],
      [{ dims: "4" }, "DIMS_MISMATCH"],
      [{ memory: "lots" }, "CONFIG_INVALID"],
      [{ pooling: [] }, "UNKNOWN_POOLING"],
    ];
    for (const [options, code] of cases)
      await assert.rejects(open({}, options), { code }, JSON.stringify(options));
    await using model = await open({}, { output: "int8", ranges: { min: [1] } });
    await assert.rejects(model.embed(["a", "b"]), { code: "DIMS_MISMATCH" });
  });

  test("calls with other things than texts", async () => {
    await using model = await open({});
    const wrong: readonly (readonly [call: () => Promise<unknown>, code: string])[] = [
      [() => model.embed(["a"], { truncate: "up" as "left" }), "USAGE"],
      [() => model.embed(["a"], { prompt: 3 as unknown as string }), "USAGE"],
      [() => model.embed(["a"], { promptName: "constructor" }), "USAGE"],
      [() => model.embedIds(["a"] as never), "INPUT_VALUE"],
      [() => model.embedIds([null] as never), "INPUT_VALUE"],
      [() => model.embedIds([[1, 2 ** 40]]), "INPUT_VALUE"],
    ];
    for (const [call, code] of wrong) await assert.rejects(call(), { code }, String(call));
    assert.equal((await model.embed(["a"])).rows, 1, "the model goes on");
  });

  test("a text of ten megabytes has the vector of its beginning", async () => {
    await using model = await open({});
    const long = await model.embed(["red one ".repeat(1.3e6)]);
    const short = await model.embed(["red one ".repeat(100)]);
    assert.deepEqual([long.truncated, [...long.tokens]], [[0], [10]]);
    assert.deepEqual([...long.data], [...short.data]);
    await assert.rejects(model.embed(["red one ".repeat(1.3e6)], { truncate: "error" }), {
      code: "TEXT_TOO_LONG",
      message: /more than \d+ tokens/,
    });
  });

  test("an image that is a line does not grow without end", () => {
    const rules: ImageRules = {
      resize: { shortest: 224 },
      resample: 3,
      crop: { height: 224, width: 224 },
      factor: 1,
      mean: [0, 0, 0],
      deviation: [1, 1, 1],
      size: { height: 224, width: 224 },
    };
    const out = new Float32Array(3 * 224 * 224);
    for (const [width, height] of [
      [1, 100_000],
      [100_000, 1],
    ] as const) {
      const line = { data: new Uint8Array(300_000), width, height };
      assert.throws(() => preprocess(line, rules, out), { code: "USAGE", message: /too long for its width/ });
    }
  });
});
