/** Sparse vectors: a tiny masked language model by its formula, alone and together, over HTTP; BM25 by its formula. */
import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { bm25, sparseEmbedder } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { tensor } from "tenon/tensor";
import { architectureFromFolder } from "tenon/torch";
import { firstLine, startCli } from "../support/cli.js";
import { randomWeights, saveTinyBert } from "../support/tiny-bert.js";
import { module, saveTinyEmbedder } from "../support/tiny-embedder.js";

const HEAD = {
  "cls.predictions.transform.dense.weight": [8, 8],
  "cls.predictions.transform.dense.bias": [8],
  "cls.predictions.transform.LayerNorm.weight": [8],
  "cls.predictions.transform.LayerNorm.bias": [8],
  "cls.predictions.bias": [20],
};

/** Of MurmurHash3, as the PyPI package mmh3 tells them, without their signs. */
const [PANDA, BAMBOO] = [1_462_770_386, 486_839_027];

describe("sparse vectors", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-sparse-"));
  const folder = join(root, "tiny-splade");
  let engine: Engine;
  let child: ChildProcess | undefined;

  before(async () => {
    await saveTinyEmbedder(folder, {
      "modules.json": [module(0, "", "MLMTransformer"), module(1, "1_SpladePooling", "SpladePooling")],
    });
    await saveTinyBert(folder, { architectures: ["BertForMaskedLM"] }, randomWeights(HEAD, 9));
    mkdirSync(join(folder, "1_SpladePooling"));
    writeFileSync(join(folder, "1_SpladePooling/config.json"), JSON.stringify({ pooling_strategy: "max" }));
    engine = await Engine.open({ cache: false, lanes: 1 });
  });
  after(async () => {
    await engine.close();
    if (child !== undefined && child.exitCode === null) {
      child.kill("SIGTERM");
      await once(child, "close");
    }
    rmSync(root, { recursive: true });
  });

  test("weights are the logarithms of the largest logits, the same alone and together", async () => {
    await using model = await sparseEmbedder(folder, { engine, name: "sparse" });
    const texts = ["a red one", "two things", "", "green"];
    const together = await model.embed(texts);
    const { ids } = model.tokenizer.encode("a red one");
    await using body = await engine.load(await architectureFromFolder(folder, { head: "masked-lm" }), {
      name: "body",
    });
    const row = (values: bigint[]) => tensor([values], { dtype: "int64" });
    using outputs = await body.run({
      input_ids: row(Array.from(ids, BigInt)),
      attention_mask: row(Array.from(ids, () => 1n)),
      token_type_ids: row(Array.from(ids, () => 0n)),
    });
    const logits = outputs.logits!.data as unknown as Float32Array;
    const wanted = Array.from({ length: 20 }, (_, word) =>
      Math.log1p(Math.max(0, ...Array.from(ids, (_, at) => logits[at * 20 + word]!))),
    );
    const dense = new Float32Array(20);
    together[0]!.indices.forEach((index, i) => {
      dense[index] = together[0]!.values[i]!;
    });
    dense.forEach((value, i) => {
      assert.ok(Math.abs(value - wanted[i]!) < 1e-5);
    });
    assert.ok(together[0]!.values.length > 0 && together[0]!.values.length < 20);
    for (const [i, text] of texts.entries()) {
      const [alone] = await model.embed([text]);
      assert.deepEqual(alone!.indices, together[i]!.indices);
      alone!.values.forEach((value, at) => {
        assert.ok(Math.abs(value - together[i]!.values[at]!) < 1e-5);
      });
    }
    await assert.rejects(model.embed(["a", 1 as unknown as string]), { code: "USAGE", message: /text 1/ });
  });

  test("/embed_sparse gives them", async () => {
    child = startCli(
      ["serve", folder, "--http-port", "0", "--isolation", "inline", "--metrics-port", "off", "--json"],
      { cwd: root, env: { TENON_CACHE: join(root, "cache"), TENON_GRPC_PORT: "off" } },
    );
    const { url } = JSON.parse(await firstLine(child as never)) as { url: string };
    const post = async (body: object) => {
      const answer = await fetch(`${url}/embed_sparse`, { method: "POST", body: JSON.stringify(body) });
      return { status: answer.status, body: (await answer.json()) as { index: number; value: number }[][] };
    };
    await using model = await sparseEmbedder(folder, { engine, name: "local" });
    const wanted = await model.embed(["a red one", "two"]);
    const { status, body } = await post({ inputs: ["a red one", "two"] });
    assert.equal(status, 200);
    body.forEach((vector, i) => {
      assert.deepEqual(
        vector.map(({ index }) => index),
        [...wanted[i]!.indices],
      );
      for (const [at, { value }] of vector.entries())
        assert.ok(Math.abs(value - wanted[i]!.values[at]!) < 1e-5);
    });
    assert.equal((await post({ inputs: [] })).status, 400);
    assert.equal((await post({ inputs: "a b c d e f one two three red green" })).status, 413);
  });

  test("BM25 by its formula, and what a collection's statistics say", () => {
    const words = bm25({ avgLen: 4 });
    const [vector, none] = words.documents(["The Pandas: a panda eats bamboo!", "the _ of"]);
    const weight = (count: number): number => (count * 2.2) / (count + 1.2 * (1 - 0.75 + (0.75 * 4) / 4));
    const found = new Map(Array.from(vector!.indices, (index, i) => [index, vector!.values[i]!]));
    assert.equal(found.size, 3);
    assert.ok(Math.abs(found.get(PANDA)! - weight(2)) < 1e-6);
    assert.ok(Math.abs(found.get(BAMBOO)! - weight(1)) < 1e-6);
    assert.equal(none!.indices.length, 0);
    assert.deepEqual([...words.query("panda pandas").indices], [PANDA]);
    const { count, avgLen, documentFrequency } = words.statistics(["panda panda", "a panda and bamboo", ""]);
    assert.deepEqual([count, avgLen], [3, 4 / 3]);
    assert.deepEqual([documentFrequency.get(PANDA), documentFrequency.get(BAMBOO)], [2, 1]);
    assert.throws(() => bm25({ b: 2 }), { code: "CONFIG_INVALID" });
    assert.deepEqual(bm25({ stem: () => "" }).query("panda").indices.length, 0);
  });
});
