/** NomicBERT: a post-norm encoder with rotary positions and gated feed-forwards, without biases. */
import { type Activation, activationOf } from "./activations.js";
import { type Architecture, BATCH, type Body, type Build, SEQUENCE } from "./architecture.js";
import { attention, biasOf, splitHeads, visibleKeys } from "./attention.js";
import type { Config } from "./config.js";
import { classify, classifyTokens, firstToken, headsOn, output, vocabularyLogits } from "./heads.js";
import type { Network } from "./network.js";
import { anglesOf, rotate, rotationOf } from "./rotary.js";

/** Fields of the first release, whose config was that of GPT-2, by the names that the reference uses now. */
const FORMER: Readonly<Record<string, string>> = {
  n_embd: "hidden_size",
  n_head: "num_attention_heads",
  n_layer: "num_hidden_layers",
  n_inner: "intermediate_size",
  n_positions: "max_position_embeddings",
  layer_norm_epsilon: "layer_norm_eps",
  rotary_emb_base: "rope_theta",
  rotary_emb_fraction: "partial_rotary_factor",
};

function modern(config: Config): Config {
  if (!config.has("n_embd")) return config;
  config.only("prenorm", false);
  config.only("use_rms_norm", false);
  config.only("causal", false);
  config.only("parallel_block", false);
  config.only("qkv_proj_bias", false);
  config.only("mlp_fc1_bias", false);
  config.only("mlp_fc2_bias", false);
  config.only("rotary_emb_interleaved", false);
  config.only("rotary_emb_scale_base");
  config.only("rotary_scaling_factor");
  config.only("num_experts", 0);
  config.only("scale_attn_weights", true);
  config.only("activation_function", "swiglu");
  return config.renamed(FORMER);
}

function attend(
  net: Network,
  x: string,
  path: string,
  parts: { size: number; heads: number; width: number; bias: string; angles: Parameters<typeof rotate>[2] },
): string {
  const { size, heads, width, bias, angles } = parts;
  const total = heads * width;
  const fused = `${path}.self_attn.qkv_proj`;
  const projected = net.book.has(`${fused}.weight`)
    ? net.g.add(
        "Split",
        [net.linear(x, fused, size, 3 * total, false)],
        { axis: -1, num_outputs: 3 },
        { outputs: 3 },
      )
    : ["q_proj", "k_proj", "v_proj"].map((name) =>
        net.linear(x, `${path}.self_attn.${name}`, size, total, false),
      );
  const [q, k, v] = projected.map((part) => splitHeads(net, part, heads, width)) as [string, string, string];
  const turned = [q, k].map((part) => rotate(net, part, angles, width)) as [string, string];
  const mixed = attention(net, ...turned, v, { heads, keyHeads: heads, width, bias });
  return net.linear(mixed, `${path}.self_attn.o_proj`, total, size, false);
}

function gated(
  net: Network,
  x: string,
  path: string,
  size: number,
  inner: number,
  activation: Activation,
): string {
  const gate = net.activation(net.linear(x, `${path}.gate_proj`, size, inner, false), activation);
  const up = net.linear(x, `${path}.up_proj`, size, inner, false);
  return net.linear(net.mul(gate, up), `${path}.down_proj`, inner, size, false);
}

function body(build: Build): Body {
  const { net } = build;
  const config = modern(build.config);
  const size = config.size("hidden_size", 768);
  const heads = config.size("num_attention_heads", 12);
  const width = config.size("head_dim", Math.floor(size / heads));
  const epsilon = config.number("layer_norm_eps", 1e-12);
  const inner = config.size("intermediate_size", 3072);
  const activation = activationOf(config, "hidden_act", "silu");
  const rows = config.size("vocab_size", 30528);
  const ids = net.g.input("input_ids", "int64", [BATCH, SEQUENCE]);
  const mask = net.g.input("attention_mask", "int64", [BATCH, SEQUENCE]);
  const segments = net.g.input("token_type_ids", "int64", [BATCH, SEQUENCE]);
  const path = net.book.inside("embeddings");
  const words = net.embedding(ids, `${path}.word_embeddings`, rows, size);
  const typed = net.embedding(
    segments,
    `${path}.token_type_embeddings`,
    config.size("type_vocab_size", 2),
    size,
  );
  let hidden = net.layerNorm(net.add(words, typed), `${path}.LayerNorm`, size, epsilon);
  const rotation = rotationOf(config, { width, theta: 1000 });
  const parts = {
    size,
    heads,
    width,
    bias: biasOf(net, visibleKeys(net, mask)),
    angles: anglesOf(net, net.positions(ids, 1), false, rotation),
  };
  for (let layer = 0; layer < config.layers("num_hidden_layers", 12); layer++) {
    const at = net.book.inside(`layers.${layer}`);
    const attended = net.add(hidden, attend(net, hidden, at, parts));
    const middle = net.layerNorm(attended, `${at}.post_attention_layernorm`, size, epsilon);
    const fed = net.add(middle, gated(net, middle, `${at}.mlp`, size, inner, activation));
    hidden = net.layerNorm(fed, `${at}.post_mlp_layernorm`, size, epsilon);
  }
  return {
    hidden,
    size,
    embeddings: { name: `${path}.word_embeddings.weight`, rows, size },
    outputs: () => {
      if (net.book.has(`${net.book.inside("pooler.dense")}.weight`))
        output(net, pooled(net, hidden, size), "pooler_output", BATCH, size);
    },
  };
}

function pooled(net: Network, hidden: string, size: number): string {
  return net.g.add("Tanh", [
    net.linear(firstToken(net, hidden), net.book.inside("pooler.dense"), size, size),
  ]);
}

function maskedLm(build: Build, of: Body): void {
  const { net } = build;
  const config = modern(build.config);
  const path = "cls.predictions";
  const dense = net.linear(of.hidden, `${path}.transform.dense`, of.size, of.size);
  const bent = net.activation(dense, activationOf(config, "hidden_act", "silu"));
  const epsilon = config.number("layer_norm_eps", 1e-12);
  const normed = net.layerNorm(bent, `${path}.transform.layer_norm`, of.size, epsilon);
  vocabularyLogits({ ...build, config }, of, normed, `${path}.decoder`, { bias: `${path}.bias`, tied: true });
}

export const NOMIC_BERT: Architecture = {
  prefix: "nomic_bert",
  aside: /^(cls|classifier)\.|(^|\.)pooler\./,
  aliases: [
    [/(^|\.)encoder\.layers\./, "$1layers."],
    [/(^|\.)emb_ln\./, "$1embeddings.LayerNorm."],
    [/\.attn\.Wqkv\./, ".self_attn.qkv_proj."],
    [/\.attn\.out_proj\./, ".self_attn.o_proj."],
    [/\.fc11\./, ".up_proj."],
    [/\.fc12\./, ".gate_proj."],
    [/\.fc2\./, ".down_proj."],
    [/\.norm1\./, ".post_attention_layernorm."],
    [/\.norm2\./, ".post_mlp_layernorm."],
  ],
  heads: headsOn(body, {
    "masked-lm": maskedLm,
    "sequence-classification": (build, { hidden, size }) =>
      classify(build, pooled(build.net, hidden, size), "classifier", size),
    "token-classification": classifyTokens,
  }),
};
