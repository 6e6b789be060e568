/** Models of images: which of them embed texts too, and what is said of those that do not. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { embedder, imageEmbedder, type Pixels } from "tenon/embed";
import { graph, saveModel } from "tenon/onnx";
import { Engine } from "tenon/runtime";
import { tensor } from "tenon/tensor";
import { TINY_TOKENIZER } from "../support/tiny-embedder.js";

const PIXELS: Pixels = { data: new Uint8Array(12).fill(255), width: 2, height: 2 };
const RULES = { image_processor_type: "CLIPImageProcessor", size: 2, crop_size: 2, image_mean: [0, 0, 0] };

describe("models of images", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-image-"));
  let engine: Engine;
  let count = 0;
  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 1 });
  });
  after(async () => {
    await engine.close();
    rmSync(root, { recursive: true });
  });

  /** A folder whose graph of images gives their mean colours under the name `output`; without a name there is none. */
  const saved = async (config: object, output?: string): Promise<string> => {
    const folder = join(root, `m${count++}`);
    mkdirSync(folder);
    const write = (name: string, value: unknown): void =>
      writeFileSync(join(folder, name), JSON.stringify(value));
    write("config.json", config);
    write("tokenizer.json", TINY_TOKENIZER);
    write("preprocessor_config.json", { ...RULES, image_std: [1, 1, 1] });
    if (output === undefined) return folder;
    const g = graph({ opset: 20 });
    const pixels = g.input("pixel_values", "float32", ["batch", 3, 2, 2]);
    const axes = g.initializer("axes", tensor([2n, 3n], { dtype: "int64" }));
    const mean = g.add("ReduceMean", [pixels, axes], { keepdims: 0 });
    g.output(mean, output, { kind: "tensor", dtype: "float32", shape: ["batch", 3] });
    await saveModel(g.model(), join(folder, "vision_model.onnx"));
    // Texts: one number for each, how many of their ids are 5, thrice.
    const t = graph({ opset: 20 });
    const ids = t.input("input_ids", "int64", ["batch", "sequence"]);
    const five = t.initializer("five", tensor(5n, { dtype: "int64" }));
    const ones = t.initializer("ones", tensor([1, 1, 1], { dtype: "float32" }));
    const axis = t.initializer("axis", tensor([1n], { dtype: "int64" }));
    const found = t.add("Cast", [t.add("Equal", [ids, five])], { to: 1 });
    const sum = t.add("Mul", [t.add("ReduceSum", [found, axis], { keepdims: 1 }), ones]);
    t.output(sum, "text_embeds", { kind: "tensor", dtype: "float32", shape: ["batch", 3] });
    await saveModel(t.model(), join(folder, "text_model.onnx"));
    return folder;
  };
  const clip = { model_type: "clip", text_config: { max_position_embeddings: 6 } };

  test("texts and images of one folder, from its graphs", async () => {
    await using model = await imageEmbedder(await saved(clip, "image_embeds"), { engine });
    assert.deepEqual([...(await model.images([PIXELS])).data], [1, 1, 1]);
    const { data, truncated, tokens } = await model.texts(["a b a", "b", "a a a a a a"]);
    assert.deepEqual([...data], [2, 2, 2, 0, 0, 0, 4, 4, 4]);
    assert.deepEqual([[...tokens], truncated], [[5, 3, 6], [2]]);
    assert.equal((await model.texts([])).rows, 0);
    await assert.rejects(model.texts(["a a a a a a"], { truncate: "error" }), { code: "TEXT_TOO_LONG" });
    await model.close();
    await assert.rejects(model.texts(["a"]), { code: "ENGINE_CLOSED" });
  });

  test("texts of length 1 where that is asked for", async () => {
    const options = { engine, name: "unit", normalize: true };
    await using model = await imageEmbedder(await saved(clip, "image_embeds"), options);
    const [x] = (await model.texts(["a a"])).data;
    assert.ok(Math.abs(x! - 1 / Math.sqrt(3)) < 1e-6);
  });

  test("models whose texts are not read say so", async () => {
    await using vit = await imageEmbedder(await saved({ model_type: "vit" }, "image_embeds"), { engine });
    await assert.rejects(vit.texts(["a"]), { code: "MODEL_UNSUPPORTED", message: /vit/ });
    await using bare = await imageEmbedder(await saved(clip, "pooler_output"), { engine });
    await assert.rejects(bare.texts(["a"]), { code: "MODEL_UNSUPPORTED", message: /pooler_output/ });
  });

  test("texts of SigLIP are filled up to its length, and the filling is not counted", async () => {
    const siglip = { model_type: "siglip", text_config: { max_position_embeddings: 6, pad_token_id: 5 } };
    await using model = await imageEmbedder(await saved(siglip, "pooler_output"), { engine });
    const { data, tokens, truncated } = await model.texts(["b", "a b a", "b b b b b b"]);
    assert.deepEqual([...data.filter((_, i) => i % 3 === 0)], [3, 3, 0]);
    assert.deepEqual([[...tokens], truncated], [[3, 5, 6], [2]]);
    assert.equal((await model.texts(["b"])).data[0], 3);
  });

  test("a folder of sentence-transformers has its model inside, and other modules are refused", async () => {
    const inner = await saved(clip, "image_embeds");
    const folder = join(root, "sentence");
    mkdirSync(folder);
    renameSync(inner, join(folder, "0_CLIPModel"));
    const modules = (...kinds: readonly (readonly [string, string])[]): void =>
      writeFileSync(
        join(folder, "modules.json"),
        JSON.stringify(kinds.map(([path, kind]) => ({ path, type: `sentence_transformers.models.${kind}` }))),
      );
    modules(["0_CLIPModel", "CLIPModel"], ["1_Normalize", "Normalize"]);
    await using model = await imageEmbedder(folder, { engine, name: "sentence" });
    const [x] = (await model.images([PIXELS])).data;
    assert.ok(Math.abs(x! - 1 / Math.sqrt(3)) < 1e-6);
    await assert.rejects(embedder(folder, { engine }), {
      code: "MODEL_UNSUPPORTED",
      message: /imageEmbedder/,
    });
    modules(["0_CLIPModel", "CLIPModel"], ["1_Dense", "Dense"]);
    await assert.rejects(imageEmbedder(folder, { engine }), { code: "MODEL_UNSUPPORTED", message: /Dense/ });
    modules(["../sentence/0_CLIPModel", "CLIPModel"]);
    await assert.rejects(imageEmbedder(folder, { engine }), { code: "FILE_INVALID", message: /inside/ });
  });
});
