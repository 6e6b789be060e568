/** `verify`: vectors beside known ones, alone and batched; graphs whose vectors depend on their batch; `tenon doctor` on folders. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { embedder, type GoldenVectors } from "tenon/embed";
import { appendGraph, graph, run, saveModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { architectureFromFolder } from "tenon/torch";
import { runCli } from "../support/cli.js";
import { saveTinyEmbedder } from "../support/tiny-embedder.js";
import { saveTinyStatic } from "../support/tiny-static.js";

const TEXTS = ["a red one", "two", "a b c d e f one two three red green blue"];

describe("vectors that are known", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-golden-"));
  const tiny = join(root, "tiny");
  let engine: Engine;
  let golden: GoldenVectors;
  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 2 });
    await saveTinyEmbedder(tiny);
    await using model = await embedder(tiny, { engine });
    const matrix = await model.embed(TEXTS);
    golden = { from: "this test", texts: TEXTS, vectors: TEXTS.map((_, i) => Array.from(matrix.row(i))) };
  });
  after(async () => {
    await engine.close();
    rmSync(root, { recursive: true });
  });

  test("are compared when asked for, whatever the output", async () => {
    for (const more of [{}, { dims: 4 }, { output: "ubinary" }, { output: "int8" }] as const) {
      await using model = await embedder(tiny, { engine, name: "compared", verify: golden, ...more });
      const { golden: check } = model.explain();
      assert.ok(check!.least! > 0.999999);
      assert.ok(check!.alone < 1e-6);
      assert.equal(check!.from, "this test");
    }
    await using quiet = await embedder(tiny, { engine });
    assert.equal(quiet.explain().golden, undefined);
    await using unknown = await embedder(tiny, { engine, name: "unknown", verify: true });
    assert.equal(unknown.explain().golden!.least, undefined);
    const bytes = golden.vectors.map((vector) =>
      Buffer.from(Float32Array.from(vector as number[]).buffer).toString("base64"),
    );
    await using coded = await embedder(tiny, {
      engine,
      name: "coded",
      verify: { ...golden, vectors: bytes },
    });
    assert.ok(coded.explain().golden!.least! > 0.999999);
  });

  test("refuse a wrong pooling, a shorter text and vectors of another size", async () => {
    for (const wrong of [{ pooling: "cls" }, { maxTokens: 3 }] as const) {
      await assert.rejects(embedder(tiny, { engine, verify: golden, ...wrong }), {
        code: "GOLDEN_MISMATCH",
        message: /not those of this test/,
      });
    }
    const short = { ...golden, vectors: golden.vectors.map(() => [1, 2]) };
    await assert.rejects(embedder(tiny, { engine, verify: short }), { code: "DIMS_MISMATCH" });
    await using model = await embedder(tiny, { engine });
    assert.equal(model.dims, 8, "what was refused was given back to the engine");
  });

  test("are those of a static model, too", async () => {
    const folder = join(root, "static");
    await saveTinyStatic(folder);
    const vectors = await (async () => {
      await using model = await embedder(folder);
      const matrix = await model.embed(["red", "a red"]);
      return [Array.from(matrix.row(0)), Array.from(matrix.row(1))];
    })();
    const own = { from: "this test", texts: ["red", "a red"], vectors };
    await using model = await embedder(folder, { verify: own });
    assert.ok(model.explain().golden!.least! > 0.999999);
    const swapped = { ...own, vectors: [vectors[1]!.map((x) => -x), vectors[0]!] };
    await assert.rejects(embedder(folder, { verify: swapped }), { code: "GOLDEN_MISMATCH" });
  });

  /** The tiny model with its states rounded by one scale for the batch. */
  async function saveVariant(folder: string): Promise<void> {
    await saveTinyEmbedder(folder);
    const body = await architectureFromFolder(folder);
    const g = graph({ opset: 20 });
    const states = g.input("states", "float32", ["batch", "sequence", 8]);
    const rounded = g.add("DynamicQuantizeLinear", [states], {}, { outputs: 3 });
    const back = g.add("DequantizeLinear", rounded);
    g.output(back, "token_embeddings", { kind: "tensor", dtype: "float32", shape: ["batch", "sequence", 8] });
    const states0 = body.graph.outputs[0]!.name;
    const model = run(body, [appendGraph(g.model(), { states: states0 }, {})]);
    await saveModel(model, join(folder, "model.onnx"), { weights: "embed" });
  }

  test("a graph with one scale for a batch runs texts one at a time, unless that is allowed", async () => {
    const folder = join(root, "variant");
    await saveVariant(folder);
    await using model = await embedder(folder, { engine, verify: true });
    const { batchVariance, batches, texts, golden: check } = model.explain();
    assert.match(batchVariance!, /^one text a batch: DynamicQuantizeLinear/);
    assert.equal(batches, texts);
    assert.equal(check!.alone, 0);
    await assert.rejects(embedder(folder, { engine, name: "free", verify: true, batchVariance: "allow" }), {
      code: "GOLDEN_MISMATCH",
      message: /depends on the texts beside it/,
    });
    await using free = await embedder(folder, { engine, name: "free", batchVariance: "allow" });
    assert.match(free.explain().batchVariance!, /^vectors depend on their batch/);
    await assert.rejects(embedder(folder, { engine, name: "wrong", batchVariance: "no" as "allow" }), {
      code: "CONFIG_INVALID",
    });
  });

  test("tenon doctor tells what a folder says and what was compared", async () => {
    const told = await runCli(["doctor", "tiny"], { cwd: root });
    assert.equal(told.code, 0, told.stderr);
    assert.match(told.stdout, /^pooling +mean +1_Pooling\/config\.json$/m);
    assert.match(told.stdout, /^longest text +10 tokens +sentence_bert_config\.json$/m);
    assert.match(
      told.stdout,
      /^alone and batched +differ by \d\.\de[-+]\d+ of their length at most, 16 texts$/m,
    );
    assert.match(told.stdout, /^files +the registry has no hashes of them$/m);
    const json = await runCli(["doctor", "tiny", "--json"], { cwd: root });
    const { schema, pooling, golden: check } = JSON.parse(json.stdout);
    assert.deepEqual([schema, pooling.value, check.texts], ["tenon.doctor-folder/1", ["mean"], 16]);
    const empty = await runCli(["doctor", "."], { cwd: root });
    assert.equal(empty.code, 2);
    assert.match(empty.stderr, /nothing here to examine/);
  });
});
