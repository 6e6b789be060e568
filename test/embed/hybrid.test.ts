/** Three outputs of one run: folders that lack a layer or have one that does not fit, many texts, no text. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { hybridEmbedder } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { saveSafetensors } from "tenon/torch";
import { randomWeights } from "../support/tiny-bert.js";
import { saveTinyEmbedder } from "../support/tiny-embedder.js";

describe("dense, sparse and multi-vector together", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-hybrid-"));
  let engine: Engine;
  let count = 0;
  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 1 });
  });
  after(async () => {
    await engine.close();
    rmSync(root, { recursive: true });
  });

  const saved = async (sparse: readonly number[], multi?: readonly number[]): Promise<string> => {
    const config = { model_max_length: 12, cls_token: "[CLS]", eos_token: { content: "[SEP]" } };
    const folder = await saveTinyEmbedder(join(root, `m${count++}`), { "tokenizer_config.json": config });
    const layer = async (file: string, [to, from]: readonly number[], seed: number): Promise<void> => {
      const weights = randomWeights({ weight: [to!, from!], bias: [to!] }, seed);
      await saveSafetensors(join(folder, file), weights);
    };
    await layer("sparse_linear.pt", sparse, 5);
    if (multi !== undefined) await layer("colbert_linear.pt", multi, 4);
    return folder;
  };

  test("a text has the same vectors alone and in a call of many", async () => {
    await using model = await hybridEmbedder(await saved([1, 8], [5, 8]), { engine });
    const texts = Array.from({ length: 150 }, (_, i) => ["a", "b c", "one two three", "a b a", ""][i % 5]!);
    const many = await model.all([...texts, "d e f red"]);
    const words = ["[CLS]", "[SEP]"].map((word) => model.tokenizer.idOf(word)!);
    assert.ok(many.sparse.some(({ indices }) => indices.length > 0));
    for (const i of [0, 1, 2, 3, 4, 147, 150]) {
      const alone = await model.all([texts[i] ?? "d e f red"]);
      near(many.dense.row(i), alone.dense.data);
      assert.deepEqual(many.sparse[i]!.indices, alone.sparse[0]!.indices);
      near(many.sparse[i]!.values, alone.sparse[0]!.values);
      near(many.multi[i]!.data, alone.multi[0]!.data);
      assert.equal(many.multi[i]!.rows, many.dense.tokens[i]! - 1);
      assert.ok(words.every((word) => !many.sparse[i]!.indices.includes(word)));
    }
    const prompted = await model.all(["b c"], { prompt: "a " });
    const written = await model.all(["a b c"]);
    near(prompted.dense.data, written.dense.data);
    assert.equal(prompted.multi[0]!.rows, written.multi[0]!.rows);
    await assert.rejects(model.all(["a"], { promptName: "query" }), { code: "USAGE" });
    const none = await model.all([]);
    assert.deepEqual([none.dense.rows, none.sparse, none.multi], [0, [], []]);
    await assert.rejects(model.all(["a", 7 as unknown as string]), { code: "USAGE", message: /text 1/ });
  });

  test("layers that are missing or do not fit are named", async () => {
    const open = (folder: string) => hybridEmbedder(folder, { engine });
    await assert.rejects(open(await saved([1, 8])), {
      code: "MODEL_INCOMPLETE",
      message: /no colbert_linear\.pt/,
    });
    await assert.rejects(open(await saved([1, 8], [5, 6])), {
      code: "DIMS_MISMATCH",
      message: /colbert_linear\.pt/,
    });
    await assert.rejects(open(await saved([2, 8], [5, 8])), {
      code: "DIMS_MISMATCH",
      message: /sparse_linear\.pt/,
    });
  });
});

function near(ours: ArrayLike<number>, other: ArrayLike<number>): void {
  assert.equal(ours.length, other.length);
  for (let i = 0; i < ours.length; i++) assert.ok(Math.abs(ours[i]! - other[i]!) < 1e-6, `${i}`);
}
