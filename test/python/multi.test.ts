/** Late interaction against sentence-transformers: a folder of PyLate; fixed encodings against fastembed. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { after, describe, test } from "node:test";
import { multiEmbedder, muvera, poolTokens } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { materialize, openWeights } from "tenon/torch";
import { proseLines } from "../support/odd-texts.js";
import { runPython } from "./onnx-cases.js";

const script = resolve(import.meta.dirname, "../../../test/python/multi.py");
const TEXTS = [...proseLines(9, 5), "a", "Dots, and more: (of them)!", "x ".repeat(60)];
const QUERY = "Which of the lines, if any?";

describe("late interaction", () => {
  const folder = mkdtempSync(join(tmpdir(), "tenon-multi-"));
  after(() => rmSync(folder, { recursive: true }));

  test("vectors of tokens and their scores are those of sentence-transformers", async () => {
    const path = join(folder, "expected.safetensors");
    const given = JSON.stringify({ texts: TEXTS, query: QUERY });
    const names = JSON.parse(runPython([script, folder, path], given)) as Record<string, string>;
    const { tensors } = await openWeights(path);
    const wanted = (key: string) => materialize(tensors.get(key)!);
    const near = (ours: ArrayLike<number>, key: string, bound = 2e-5): void => {
      const other = wanted(key).data as unknown as Float32Array;
      assert.equal(ours.length, other.length, key);
      other.forEach((value, i) => {
        assert.ok(Math.abs(ours[i]! - value) < bound, `${key}, ${i}: ${ours[i]} is ${value}`);
      });
    };
    await using engine = await Engine.open({ cache: false, lanes: 1 });
    for (const [name, source] of Object.entries(names)) {
      await using model = await multiEmbedder(source, { engine, name });
      const query = await model.query(QUERY);
      near(query.data, `${name}.query`);
      const documents = await model.documents(TEXTS);
      documents.forEach(({ data, rows, dims }, i) => {
        assert.deepEqual([rows, dims], wanted(`${name}.${i}`).shape, `${name}, ${TEXTS[i]}`);
        near(data, `${name}.${i}`);
      });
      near(await model.scores(query, documents), `${name}.scores`, 2e-4);
      const [best] = await model.rank(QUERY, TEXTS, { topK: 1 });
      const scores = wanted(`${name}.scores`).data as unknown as Float32Array;
      assert.ok(Math.abs(best!.score - Math.max(...scores)) < 2e-4);
      if (name !== "pylate") continue;
      const matrices = {
        planes: wanted("muvera.planes").data as unknown as Float64Array,
        projections: wanted("muvera.projections").data as unknown as Float64Array,
      };
      const fixed = muvera({ dims: 6, planes: 3, projected: 4, repetitions: 5, matrices });
      near(fixed.document(documents[0]!), "muvera.document", 1e-4);
      near(fixed.query(query), "muvera.query", 1e-4);
      near(poolTokens(documents[0]!, 3).data, "pooled");
      await using original = await multiEmbedder(join(folder, "stanford"), { engine, name: "stanford" });
      near((await original.query(QUERY)).data, "pylate.query");
      for (const [i, { data }] of (await original.documents(TEXTS)).entries()) near(data, `pylate.${i}`);
    }
  });
});
