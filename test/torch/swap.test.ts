/** Other weights and adapters in a graph: what fits is used, and all that does not is named at once. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { Engine } from "tenon";
import { graph as build, type OnnxModel, readModel, saveModel, weightFiles } from "tenon/onnx";
import { ones, type Tensor, tensor } from "tenon/tensor";
import {
  adapterAsInputs,
  architectureFromFolder,
  mergeAdapter,
  openAdapter,
  openWeights,
  saveSafetensors,
  swapWeights,
  type TensorRef,
} from "tenon/torch";
import { randomWeights, saveTinyBert } from "../support/tiny-bert.js";

const QUERY = "encoder.layer.0.attention.self.query";

describe("weights that are put into a graph", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-swap-"));
  let engine: Engine;
  before(async () => {
    engine = await Engine.open({ cache: false, lanes: 1 });
  });
  after(async () => {
    await engine.close();
    rmSync(root, { recursive: true });
  });

  const inputs = (): Record<string, Tensor> => ({
    input_ids: tensor([[3n, 7n, 1n]], { dtype: "int64" }),
    attention_mask: tensor([[1n, 1n, 1n]], { dtype: "int64" }),
    token_type_ids: tensor([[0n, 0n, 1n]], { dtype: "int64" }),
  });
  const answer = async (graph: OnnxModel, more: Record<string, Tensor> = {}): Promise<unknown> => {
    const model = await engine.load(graph, { name: "model", calibrate: false });
    try {
      return (await model.run({ ...inputs(), ...more })).last_hidden_state!.toArray();
    } finally {
      await model.unload();
    }
  };

  test("a checkpoint under a wrapper's prefix takes the place of the converted weights", async () => {
    const base = await saveTinyBert(join(root, "base"));
    const other = { [`${QUERY}.weight`]: randomWeights({ w: [8, 8] }, 9).w! };
    const tuned = await saveTinyBert(join(root, "tuned"), {}, other);
    const graph = await architectureFromFolder(base);
    const wanted = await answer(await architectureFromFolder(tuned));
    assert.notDeepEqual(await answer(graph), wanted);

    const { tensors } = await openWeights(tuned);
    const wrapped = join(root, "wrapped.safetensors");
    await saveSafetensors(
      wrapped,
      Object.fromEntries([...tensors].map(([name, ref]) => [`module.${name}`, ref])),
    );
    const swapped = swapWeights(graph, await openWeights(wrapped));
    assert.deepEqual(weightFiles(swapped), [wrapped]);
    assert.deepEqual(await answer(swapped), wanted);
    // Also on a graph that was saved and read again.
    await saveModel(graph, join(base, "model.onnx"));
    assert.deepEqual(
      await answer(swapWeights(await readModel(join(base, "model.onnx")), await openWeights(tuned))),
      wanted,
    );
  });

  test("another name of a tied weight passes, one of other elements does not", async () => {
    const graph = await architectureFromFolder(await saveTinyBert(join(root, "tied")));
    const { format, metadata, tensors } = await openWeights(join(root, "tied"));
    const words = tensors.get("embeddings.word_embeddings.weight")!;
    const twice = (ref: TensorRef): OnnxModel =>
      swapWeights(graph, { format, metadata, tensors: new Map([...tensors, ["decoder.tied", ref]]) });
    assert.ok(twice({ ...words, name: "decoder.tied" }));
    assert.throws(() => twice({ ...words, offset: words.offset + 4 }), /not in the graph: decoder\.tied/);
  });

  test("parameters under all names of PyTorch are missed", () => {
    const missed = ["rnn.weight_ih_l0", "attn.in_proj_bias", "cls_token", "enc.pos_embed", "bn.running_var"];
    const passed = ["attn.bias", "rotary.table", "const:[1]"];
    const g = build();
    const x = g.input("x", "float32", [2]);
    const weights = [...missed, ...passed, "fc.weight"].map((name) =>
      g.initializer(name, tensor([1, 2], { dtype: name === "attn.bias" ? "int32" : "float32" })),
    );
    const widened = weights.map((name) => g.add("Cast", [name], { to: 1 }));
    g.output(g.add("Sum", [x, ...widened]), "y", { kind: "tensor", dtype: "float32", shape: [2] });
    const storage = new Uint8Array(8);
    const ref = {
      name: "fc.weight",
      dtype: "float32",
      shape: [2],
      strides: [1],
      offset: 0,
      storage,
    } as const;
    const tensors = new Map([["fc.weight", ref]]);
    assert.throws(
      () => swapWeights(g.model(), { format: "safetensors", metadata: new Map(), tensors }),
      (error: Error) => error.message.includes(`not in the checkpoint: ${missed.join(", ")};`),
    );
  });

  test("all that does not fit is listed", async () => {
    const graph = await architectureFromFolder(await saveTinyBert(join(root, "strict")));
    const path = join(root, "odd.safetensors");
    await saveSafetensors(path, {
      [`${QUERY}.weight`]: tensor([[1, 2]]),
      [`${QUERY}.bais`]: tensor([1]),
      "unheard.of": tensor([1]),
    });
    const odd = await openWeights(path);
    assert.throws(
      () => swapWeights(graph, odd),
      (error: Error) => {
        assert.match(
          error.message,
          /not in the graph: .*query\.bais \(did you mean "encoder.*query\.bias"\?\), unheard\.of/,
        );
        assert.match(error.message, /not in the checkpoint: embeddings\.word_embeddings\.weight/);
        assert.match(error.message, /different: .*query\.weight is float32 \[8, 8\], given float32 \[1, 2\]/);
        return true;
      },
    );
    const part = join(root, "part.safetensors");
    await saveSafetensors(part, { [`${QUERY}.bias`]: ones("float32", [8]) });
    const weights = await openWeights(part);
    assert.throws(() => swapWeights(graph, weights), /not in the checkpoint/);
    assert.ok(swapWeights(graph, weights, { partial: true }));
  });

  /** An adapter of rank 2 on one layer. */
  const adapter = async (
    name: string,
    config: object = {},
    tensors?: Record<string, Tensor>,
  ): Promise<string> => {
    const folder = join(root, name);
    mkdirSync(folder, { recursive: true });
    const fields = { peft_type: "LORA", r: 2, lora_alpha: 6, ...config };
    writeFileSync(join(folder, "adapter_config.json"), JSON.stringify(fields));
    await saveSafetensors(join(folder, "adapter_model.safetensors"), tensors ?? halves());
    return folder;
  };
  const halves = (module = QUERY): Record<string, Tensor> => {
    const { a, b } = randomWeights({ a: [2, 8], b: [8, 2] }, 5);
    return {
      [`base_model.model.${module}.lora_A.weight`]: a!,
      [`base_model.model.${module}.lora_B.weight`]: b!,
    };
  };

  test("an adapter is a sum: merged, and as inputs", async () => {
    const base = await saveTinyBert(join(root, "lora-base"));
    const graph = await architectureFromFolder(base);
    const opened = await openAdapter(await adapter("lora"));
    assert.equal(opened.changes[0]!.scale, 3);
    const merged = mergeAdapter(graph, opened);
    assert.equal(weightFiles(merged).length, 2);
    const beside = adapterAsInputs(graph, opened);
    const close = (a: unknown, b: unknown): boolean => {
      const [x, y] = [a, b].map((value) => (value as unknown[]).flat(9) as number[]);
      return x!.every((value, i) => Math.abs(value - y![i]!) < 1e-5);
    };
    const wanted = await answer(merged);
    assert.ok(!close(await answer(graph), wanted));
    assert.ok(close(await answer(beside.model, beside.inputs), wanted));
    // Zeros of another rank switch it off.
    const off = {
      [`${QUERY}.lora_A`]: tensor([Array(8).fill(0)]),
      [`${QUERY}.lora_B`]: tensor(Array(8).fill([0])),
    };
    assert.ok(close(await answer(beside.model, off), await answer(graph)));
  });

  test("other methods, half adapters and other models are refused by name", async () => {
    const graph = await architectureFromFolder(await saveTinyBert(join(root, "refusing")));
    const a = Object.keys(halves())[0]!;
    const refused: [object, Record<string, Tensor> | undefined, RegExp][] = [
      [{ peft_type: "IA3" }, undefined, /peft_type.*IA3/s],
      [{ use_dora: true }, undefined, /use_dora/],
      [{ bias: "all" }, undefined, /bias.*"all"/s],
      [{ fan_in_fan_out: true }, undefined, /fan_in_fan_out/],
      [{ init_lora_weights: "pissa" }, undefined, /init_lora_weights.*pissa/s],
      [{ trainable_token_indices: [1] }, undefined, /trainable_token_indices/],
      [{ rank_pattern: { "(a+)+": 3 } }, undefined, /rank_pattern.*expression/s],
      [{ r: 4 }, undefined, /rank 4/],
      [{}, { [a]: halves()[a]! }, /one half only/],
      [
        {},
        { ...halves(), [`base_model.model.${QUERY}.lora_magnitude_vector`]: ones("float32", [8]) },
        /lora_magnitude_vector/,
      ],
    ];
    for (const [index, [config, tensors, message]] of refused.entries())
      await assert.rejects(adapter(`refused${index}`, config, tensors).then(openAdapter), message);
    const elsewhere = await openAdapter(
      await adapter("elsewhere", {}, { ...halves("decoder.query"), head: ones("float32", [3]) }),
    );
    for (const use of [mergeAdapter, adapterAsInputs])
      assert.throws(
        () => use(graph, elsewhere),
        /decoder\.query is not in the graph; head is not in the graph/,
      );
    const words = await openAdapter(await adapter("words", {}, halves("encoder.layer.0.intermediate.dense")));
    assert.throws(() => mergeAdapter(graph, words), /\[12, 8\].*\[8, 8\]/);
    await assert.rejects(openAdapter(join(root, "absent")), { code: "FILE_NOT_FOUND" });
  });
});
