/** Vectors of tokens: which text an error names, texts without a token of their own, markers. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { EmbedMatrix, multiEmbedder, poolTokens } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { type JsonFiles, module, saveTinyEmbedder, TINY_TOKENIZER } from "../support/tiny-embedder.js";

describe("vectors of tokens", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-multi-"));
  const markers = { query: "one", document: "two" };
  let engine: Engine;
  let count = 0;
  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 1 });
  });
  after(async () => {
    await engine.close();
    rmSync(root, { recursive: true });
  });

  const saved = (files: JsonFiles = {}): Promise<string> =>
    saveTinyEmbedder(join(root, `m${count++}`), {
      "modules.json": [module(0, "", "Transformer")],
      ...files,
    });

  test("an error names the text by its place in the whole call", async () => {
    // Two heads: 8 bytes for each pair of tokens and head.
    const limits = { memory: 2 * 8 * 36, queryLength: 0, skip: [] };
    await using model = await multiEmbedder(await saved(), { engine, markers, ...limits });
    const texts = Array.from({ length: 150 }, () => "a b");
    texts[140] = "a b c d e f";
    await assert.rejects(model.documents(texts), {
      code: "TEXT_TOO_LONG",
      message: /text 140 /,
    });
  });

  test("the marker stands behind the first token, and alone where there is none", async () => {
    const bare = { "tokenizer.json": { ...TINY_TOKENIZER, post_processor: null } };
    await using model = await multiEmbedder(await saved(bare), { engine, markers, queryLength: 0, skip: [] });
    const [empty, one, two] = await model.documents(["", "a", "two"]);
    assert.deepEqual([empty!.rows, one!.rows, two!.rows], [1, 2, 2]);
    await using unmarked = await multiEmbedder(await saved(bare), {
      engine,
      name: "unmarked",
      markers: { query: "", document: "" },
      queryLength: 0,
      skip: [],
    });
    const [marker] = await unmarked.documents(["two"]);
    marker!.data.forEach((value, i) => {
      assert.ok(Math.abs(value - empty!.data[i]!) < 1e-6);
    });
  });

  test("a pooled matrix has means of what is near, in order, the first vector as it is", () => {
    const near = [
      [9, 9],
      [1, 0],
      [0, 1],
      [1.1, 0],
      [0, 1.1],
      [0.9, 0],
      [-1, -1],
    ];
    const data = Float32Array.from(near.flat());
    const whole = new EmbedMatrix(data, 7, 2, new Uint32Array(7).fill(1), []);
    const pooled = poolTokens(whole, 2);
    const rounded = (row: number) => [...pooled.row(row)].map((value) => Math.round(1000 * value) / 1000);
    assert.deepEqual([0, 1, 2, 3].map(rounded), [
      [9, 9],
      [1, 0],
      [0, 1.05],
      [-1, -1],
    ]);
    assert.deepEqual([...pooled.tokens], [1, 3, 2, 1]);
    assert.equal(poolTokens(whole, 1), whole);
    assert.equal(poolTokens(whole, 100).rows, 2);
    assert.throws(() => poolTokens(whole, 0), { code: "USAGE" });
  });
});
