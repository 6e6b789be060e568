/** Folders as graphs: what is refused, and that every complaint names its field or weight. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { isTenonError } from "tenon/base";
import { inferTypes, saveModel, weightFiles, writeBeside } from "tenon/onnx";
import { tensor } from "tenon/tensor";
import { architectureFromFolder, knownArchitectures } from "tenon/torch";
import { seededRandom } from "../support/random.js";
import { randomWeights, saveTinyBert, TINY_BERT_CONFIG } from "../support/tiny-bert.js";

describe("architectureFromFolder", () => {
  const root = mkdtempSync(join(tmpdir(), "tenon-folders-"));
  after(() => rmSync(root, { recursive: true }));
  let count = 0;
  const folder = (...parts: [config?: object, weights?: object]): Promise<string> =>
    saveTinyBert(join(root, `model${count++}`), parts[0] as never, parts[1] as never);

  test("the graph points into the folder's file, and all its types follow", async () => {
    const path = await folder();
    const model = await architectureFromFolder(path);
    assert.deepEqual(weightFiles(model), [join(path, "model.safetensors")]);
    assert.ok(writeBeside(model).bytes.length < 40_000);
    assert.equal(inferTypes(model).gaps, 0);
    await saveModel(model, join(path, "model.onnx"));
    assert.ok(statSync(join(path, "model.onnx")).size < 40_000);
    assert.match(readFileSync(join(path, "model.onnx"), "latin1"), /model\.safetensors/);
  });

  test("what the config cannot have is refused by its field", async () => {
    const refused: [object, RegExp][] = [
      [{ model_type: "brt" }, /model_type.*"brt".*did you mean "bert"/s],
      [{ model_type: "__proto__" }, /model_type/],
      [{ position_embedding_type: "relative_key" }, /position_embedding_type.*relative_key/s],
      [{ is_decoder: true }, /is_decoder/],
      [{ add_cross_attention: true }, /add_cross_attention/],
      [{ pruned_heads: { 1: [0] } }, /pruned_heads/],
      [{ quantization_config: { bits: 4 } }, /quantization_config/],
      [{ hidden_act: "geluu" }, /hidden_act.*did you mean "gelu"/s],
      [{ num_attention_heads: 3 }, /num_attention_heads.*divisor/s],
      [{ num_hidden_layers: 1e9 }, /num_hidden_layers/],
      [{ hidden_size: -8 }, /hidden_size/],
      [{ layer_norm_eps: "small" }, /layer_norm_eps/],
      [{ architectures: ["BertForMultipleChoice"] }, /BertForMultipleChoice.*head: "none"/s],
    ];
    for (const [config, message] of refused)
      await assert.rejects(
        folder(config).then((path) => architectureFromFolder(path)),
        message,
      );
    assert.ok(knownArchitectures().includes("bert"));
  });

  test("weights that are missing, misshaped or left over are named all at once", async () => {
    const path = await folder(
      {},
      {
        "encoder.layer.0.output.dense.bias": undefined,
        "encoder.layer.1.output.dense.bias": tensor([1, 2]),
        "encoder.layer.0.output.dense.bais": tensor([1]),
        "encoder.layer.2.output.dense.weight": tensor([[1]]),
      },
    );
    await assert.rejects(architectureFromFolder(path), (error: Error) => {
      assert.match(error.message, /missing: encoder\.layer\.0\.output\.dense\.bias \[8\] \(did you mean/);
      assert.match(error.message, /another shape: encoder\.layer\.1\.output\.dense\.bias is \[2\].*\[8\]/);
      assert.match(error.message, /not part of the architecture: .*layer\.0\.output\.dense\.bais.*layer\.2/);
      return true;
    });
  });

  test("heads: as the config names them, as asked for, and none of what is not there", async () => {
    const head = randomWeights({ "classifier.weight": [3, 8], "classifier.bias": [3] }, 2);
    const pooler = randomWeights({ "bert.pooler.dense.weight": [8, 8], "bert.pooler.dense.bias": [8] }, 3);
    const path = await folder(
      { architectures: ["BertForSequenceClassification"], id2label: { 0: "a", 1: "b", 2: "c" } },
      { ...head, ...pooler },
    );
    // The body's weights lie under no prefix here, so the pooler does not either.
    await assert.rejects(architectureFromFolder(path), /bert\.embeddings|missing/);
    const plain = await folder(
      { architectures: ["BertForSequenceClassification"], id2label: { 0: "a", 1: "b", 2: "c" } },
      {
        ...head,
        "pooler.dense.weight": pooler["bert.pooler.dense.weight"],
        "pooler.dense.bias": pooler["bert.pooler.dense.bias"],
      },
    );
    const model = await architectureFromFolder(plain);
    assert.deepEqual(
      model.graph.outputs.map(({ name }) => name),
      ["logits"],
    );
    assert.equal(model.metadata.get("labels"), '["a","b","c"]');
    const bare = await architectureFromFolder(plain, { head: "none" });
    assert.deepEqual(
      bare.graph.outputs.map(({ name }) => name),
      ["last_hidden_state", "pooler_output"],
    );
    await assert.rejects(architectureFromFolder(plain, { head: "causal-lm" }), { code: "USAGE" });
  });

  test("a decoder that is tied by the config and not by its weights is refused", async () => {
    const path = "cls.predictions";
    const head = randomWeights(
      {
        [`${path}.transform.dense.weight`]: [8, 8],
        [`${path}.transform.dense.bias`]: [8],
        [`${path}.transform.LayerNorm.weight`]: [8],
        [`${path}.transform.LayerNorm.bias`]: [8],
        [`${path}.decoder.weight`]: [20, 8],
        [`${path}.bias`]: [20],
      },
      4,
    );
    const config = { architectures: ["BertForMaskedLM"] };
    await assert.rejects(
      folder(config, head).then((at) => architectureFromFolder(at)),
      /tie_word_embeddings/,
    );
    const untied = await folder({ ...config, tie_word_embeddings: false }, head);
    assert.ok((await architectureFromFolder(untied)).graph.initializers.has(`${path}.decoder.weight`));
  });

  test("configs of strangers give a graph or an error of ours", async () => {
    const path = await folder();
    const random = seededRandom(7);
    const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!;
    const types = knownArchitectures();
    const odd = [
      null,
      -1,
      0,
      1.5,
      2 ** 31 - 1,
      2 ** 40,
      "x",
      "",
      true,
      [],
      [1, 2],
      {},
      { rope_type: "yarn" },
      { 0: "a" },
    ];
    let built = 0;
    for (let round = 0; round < 120; round++) {
      const config: Record<string, unknown> = {
        ...TINY_BERT_CONFIG,
        model_type: pick(types),
        architectures: [pick(CLASSES)],
      };
      for (let change = 0; change < 3; change++) config[pick(FIELDS)] = pick(odd);
      writeFileSync(join(path, "config.json"), JSON.stringify(config));
      try {
        await architectureFromFolder(path, { kvCache: random() < 0.3 });
        built++;
      } catch (error) {
        assert.ok(
          isTenonError(error) && error.code !== "INTERNAL",
          `${JSON.stringify(config)}: ${(error as Error).stack}`,
        );
      }
    }
    assert.ok(built > 0);
  });
});

const CLASSES = [
  "BertModel",
  "XForMaskedLM",
  "XForCausalLM",
  "XForSequenceClassification",
  "XForTokenClassification",
];

/** Fields that some architecture reads. */
const FIELDS = [
  ..."hidden_size num_hidden_layers num_attention_heads num_key_value_heads head_dim intermediate_size vocab_size".split(
    " ",
  ),
  ..."max_position_embeddings type_vocab_size layer_norm_eps rms_norm_eps hidden_act pad_token_id id2label num_labels".split(
    " ",
  ),
  ..."rope_parameters rope_scaling rope_theta partial_rotary_factor sliding_window layer_types image_size patch_size".split(
    " ",
  ),
  ..."text_config vision_config projection_dim dim n_heads n_layers local_attention embedding_size architectures".split(
    " ",
  ),
  ..."tie_word_embeddings use_sliding_window max_window_layers relative_attention_num_buckets n_embd".split(
    " ",
  ),
];
