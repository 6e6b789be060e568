/** Static models against model2vec and sentence-transformers: small ones of every form, and a real one. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { embedder, isStaticFolder } from "tenon/embed";
import { materialize, openWeights } from "tenon/torch";
import { mixedTexts, ODD_TEXTS, proseLines } from "../support/odd-texts.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/static.py");

const TEXTS = [
  ...ODD_TEXTS,
  "the red of one, two and three things.",
  "a b c d ".repeat(900),
  "😀 日本 ".repeat(300),
  ...proseLines(8, 5),
  ...mixedTexts(8, 3),
].map((text) => text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "?"));

describe("static models", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-static-"));
  after(() => rmSync(folder, { recursive: true }));

  test("vectors are those of model2vec and sentence-transformers", async () => {
    const path = join(folder, "expected.safetensors");
    const names = JSON.parse(runPython([script, folder, path], JSON.stringify(TEXTS))) as Record<
      string,
      string
    >;
    const { tensors } = await openWeights(path);
    assert.ok(Object.keys(names).length >= 2);
    for (const [name, source] of Object.entries(names)) {
      assert.ok(isStaticFolder(source), name);
      await using model = await embedder(source);
      const wanted = materialize(tensors.get(name)!);
      const ours = await model.embed(TEXTS);
      assert.deepEqual([ours.rows, ours.dims], wanted.shape, name);
      const other = wanted.data as unknown as Float32Array;
      const bound = name === "half" ? 1e-3 : 3e-5;
      (ours.data as Float32Array).forEach((value, i) => {
        const text = TEXTS[Math.floor(i / ours.dims)]!.slice(0, 40);
        assert.ok(
          Math.abs(value - other[i]!) <= bound * Math.max(1, Math.abs(value)),
          `${name}, "${text}": ${value} is ${other[i]}`,
        );
      });
    }
  });
});
