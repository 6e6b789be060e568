/** What a model's files say of it, trap by trap: contradicting lengths, pooling of several kinds, modules that are not known. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type EmbedderOptions, type Explanation, embedder } from "tenon/embed";
import { Engine } from "tenon/runtime";
import { tensorFromStorage } from "tenon/tensor";
import { saveSafetensors } from "tenon/torch";
import { type JsonFiles, module, saveTinyEmbedder } from "../support/tiny-embedder.js";

describe("model cards", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-card-"));
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
    saveTinyEmbedder(join(root, `m${count++}`), files);

  async function explained(files: JsonFiles, options: EmbedderOptions = {}): Promise<Explanation> {
    await using model = await embedder(await saved(files), { engine, ...options });
    return model.explain();
  }

  async function vector(files: JsonFiles, text: string, options: EmbedderOptions = {}): Promise<number[]> {
    await using model = await embedder(await saved(files), { engine, ...options });
    return [...(await model.query(text))];
  }

  const near = (a: readonly number[], b: readonly number[]): void => {
    assert.equal(a.length, b.length);
    a.forEach((value, i) => {
      assert.ok(Math.abs(value - b[i]!) < 1e-5, `${value} and ${b[i]} at ${i}`);
    });
  };

  test("of three lengths that of sentence_bert_config.json counts, then the tokenizer's, then the positions", async () => {
    assert.deepEqual((await explained({})).maxTokens, { value: 10, from: "sentence_bert_config.json" });
    const without = { "sentence_bert_config.json": undefined };
    assert.deepEqual((await explained(without)).maxTokens, { value: 12, from: "tokenizer_config.json" });
    const endless = { ...without, "tokenizer_config.json": { model_max_length: 1e30 } };
    assert.deepEqual((await explained(endless)).maxTokens, { value: 16, from: "config.json" });
    assert.deepEqual((await explained({}, { maxTokens: 7 })).maxTokens, { value: 7, from: "the options" });
    await assert.rejects(explained({}, { maxTokens: 17 }), { code: "CONFIG_INVALID" });
    const long = { "sentence_bert_config.json": { max_seq_length: 512 } };
    assert.deepEqual((await explained(long)).maxTokens, { value: 16, from: "config.json" });
  });

  test("texts are cut at the side that is asked for, or refused", async () => {
    const folder = await saved({ "sentence_bert_config.json": { max_seq_length: 4 } });
    await using model = await embedder(folder, { engine });
    const cut = await model.embed(["a b c d", "a b"]);
    assert.deepEqual(cut.truncated, [0]);
    assert.deepEqual([...cut.tokens], [4, 4]);
    assert.deepEqual(cut.row(0), cut.row(1));
    const left = await model.embed(["c d a b", "a b"], { truncate: "left" });
    assert.deepEqual(left.row(0), left.row(1));
    await assert.rejects(model.embed(["a", "a b c"], { truncate: "error" }), {
      code: "TEXT_TOO_LONG",
      message: /text 1/,
    });
  });

  test("pooling is never guessed", async () => {
    await assert.rejects(explained({ "modules.json": undefined, "1_Pooling/config.json": undefined }), {
      code: "UNKNOWN_POOLING",
      message: /modules\.json.*cls, max, mean/,
    });
    const strange = { "1_Pooling/config.json": { pooling_mode_median_tokens: true } };
    await assert.rejects(explained(strange), { code: "UNKNOWN_POOLING", message: /median/ });
    await assert.rejects(explained({ "1_Pooling/config.json": { pooling_mode: "middle" } }), {
      code: "UNKNOWN_POOLING",
    });
    const bare = { "modules.json": undefined, "1_Pooling/config.json": undefined };
    const told = await explained(bare, { pooling: "cls" });
    assert.deepEqual(told.pooling, { value: ["cls"], from: "the options" });
    assert.equal(told.normalize.value, false);
  });

  test("a folder without a model is told from one that does not say how it pools", async () => {
    const models = join(root, "models");
    mkdirSync(join(models, "empty"), { recursive: true });
    await saveTinyEmbedder(join(models, "tiny"));
    await assert.rejects(embedder(join(models, "empty"), { engine }), {
      code: "MODEL_INCOMPLETE",
      message: /there is no model in the folder.*config\.json or modules\.json.*tenon pull NAME/s,
    });
    await assert.rejects(embedder(models, { engine }), {
      code: "MODEL_INCOMPLETE",
      message: /give the folder of a model: .*tiny/s,
    });
    await assert.rejects(embedder(join(models, "tiny/config.json"), { engine }), {
      code: "MODEL_INCOMPLETE",
      message: /give the folder that holds the file/,
    });
    writeFileSync(join(models, "empty/config.json"), "{}");
    await assert.rejects(embedder(join(models, "empty"), { engine }), {
      code: "MODEL_INCOMPLETE",
      message: /neither weights nor an ONNX file.*model\.safetensors/s,
    });
  });

  test("several poolings are put behind each other, and unit length only where a module says so", async () => {
    const plain = { "modules.json": [module(0, "", "Transformer"), module(1, "1_Pooling", "Pooling")] };
    const one = (name: string): JsonFiles => ({
      ...plain,
      "1_Pooling/config.json": { [`pooling_mode_${name}`]: true },
    });
    const both = {
      ...plain,
      "1_Pooling/config.json": { pooling_mode_mean_tokens: true, pooling_mode_cls_token: true },
    };
    const [cls, mean, together] = await Promise.all([
      vector(one("cls_token"), "a red one", { name: "cls" }),
      vector(one("mean_tokens"), "a red one", { name: "mean" }),
      vector(both, "a red one", { name: "both" }),
    ]);
    near(together!, [...cls!, ...mean!]);
    assert.ok(Math.abs(Math.hypot(...mean!) - 1) > 0.01);
    const unit = await vector({}, "a red one");
    near(
      unit,
      mean!.map((value) => value / Math.hypot(...mean!)),
    );
  });

  test("dense modules in their order, cut and brought to length 1", async () => {
    const modules = [
      module(0, "", "Transformer"),
      module(1, "1_Pooling", "Pooling"),
      module(2, "2_Dense", "Dense"),
      module(3, "3_Dense", "Dense"),
      module(4, "4_Normalize", "Normalize"),
    ];
    const dense = (inFeatures: number, outFeatures: number, activation: string): object => ({
      in_features: inFeatures,
      out_features: outFeatures,
      bias: false,
      activation_function: `torch.nn.modules.${activation}`,
    });
    const folder = await saved({
      "modules.json": modules,
      "2_Dense/config.json": dense(8, 3, "activation.Tanh"),
      "3_Dense/config.json": dense(3, 4, "linear.Identity"),
    });
    const first = Float32Array.from({ length: 24 }, (_, i) => Math.sin(i));
    const second = Float32Array.from({ length: 12 }, (_, i) => Math.cos(i));
    await saveSafetensors(join(folder, "2_Dense/model.safetensors"), {
      "linear.weight": tensorFromStorage("float32", [3, 8], first),
    });
    await saveSafetensors(join(folder, "3_Dense/model.safetensors"), {
      "linear.weight": tensorFromStorage("float32", [4, 3], second),
    });
    const pooled = await vector({ "modules.json": modules.slice(0, 2) }, "two green");
    const hidden = [0, 1, 2].map((o) =>
      Math.tanh(pooled.reduce((sum, x, i) => sum + x * first[o * 8 + i]!, 0)),
    );
    const out = [0, 1, 2, 3].map((o) => hidden.reduce((sum, x, i) => sum + x * second[o * 3 + i]!, 0));
    await using model = await embedder(folder, { engine, name: "dense" });
    near(
      [...(await model.query("two green"))],
      out.map((x) => x / Math.hypot(...out)),
    );
    assert.deepEqual(
      model.explain().dense.map(({ value }) => value),
      ["8 to 3, Tanh", "3 to 4, Identity"],
    );
    await using cut = await embedder(folder, { engine, name: "cut", dims: 2 });
    const two = out.slice(0, 2);
    near(
      [...(await cut.query("two green"))],
      two.map((x) => x / Math.hypot(...two)),
    );
    await assert.rejects(embedder(folder, { engine, name: "none", dims: 5 }), {
      code: "DIMS_MISMATCH",
      message: /1 to 4/,
    });
  });

  test("a prompt that is not pooled is still seen", async () => {
    const sentence = { prompts: { query: "red ", document: "blue " }, default_prompt_name: "document" };
    const files = { "config_sentence_transformers.json": sentence };
    const apart = {
      ...files,
      "1_Pooling/config.json": { pooling_mode_cls_token: true, include_prompt: false },
    };
    const folder = await saved(apart);
    await using model = await embedder(folder, { engine, name: "apart" });
    assert.equal(model.explain().includePrompt, false);
    const [first, alone] = [await model.query("one"), await model.embed(["one"], { prompt: "" })];
    assert.notDeepEqual([...first], [...alone.row(0)]);
    await using usual = await embedder(await saved(files), { engine, name: "usual" });
    const query = await usual.query("one");
    assert.deepEqual((await usual.embed(["one"], { promptName: "query" })).row(0), query);
    assert.deepEqual((await usual.embed(["red one"], { prompt: "" })).row(0), query);
    assert.deepEqual((await usual.passages(["one"])).row(0), (await usual.embed(["one"])).row(0));
    await assert.rejects(usual.embed(["one"], { promptName: "quary" }), {
      code: "USAGE",
      message: /"query"/,
    });
  });

  test("modules and orders that are not known are refused by name", async () => {
    const withModule = (kind: string): JsonFiles => ({
      "modules.json": [
        module(0, "", "Transformer"),
        module(1, "1_Pooling", "Pooling"),
        module(2, "2_X", kind),
      ],
    });
    await assert.rejects(explained(withModule("Sparkle")), { code: "MODEL_UNSUPPORTED", message: /Sparkle/ });
    await assert.rejects(explained(withModule("Pooling")), { code: "MODEL_UNSUPPORTED", message: /order/ });
    const outside = { "modules.json": [module(0, "", "Transformer"), module(1, "../other", "Pooling")] };
    await assert.rejects(explained(outside), { code: "FILE_INVALID", message: /\.\.\/other/ });
    await assert.rejects(explained({ "modules.json": {} }), { code: "FILE_INVALID" });
    await assert.rejects(embedder(join(root, "nowhere"), { engine }), { code: "MODEL_INCOMPLETE" });
    await assert.rejects(explained({ "tokenizer.json": undefined }), {
      code: "MODEL_INCOMPLETE",
      message: /tokenizer\.json/,
    });
  });
});
