/** Decoders of the Llama family: what tells Mistral, Qwen and Gemma from Llama is a row of their table. */
import { activationOf } from "./activations.js";
import { type Architecture, BATCH, type Body, type Build, SEQUENCE } from "./architecture.js";
import { attention, maskBias, reachedKeys, splitHeads, visibleKeys } from "./attention.js";
import type { Config } from "./config.js";
import { headsOn, labelsOf, output, vocabularyLogits } from "./heads.js";
import { type LayerType, layerTypes } from "./layer-types.js";
import { type Angles, anglesOf, rotate, rotationOf } from "./rotary.js";

interface Kin {
  readonly vocabulary: number;
  readonly size: number;
  readonly inner: number;
  readonly layers: number;
  readonly heads: number;
  /** `same`: as many as heads of queries, where the config does not say. */
  readonly keyHeads: number | "same";
  /** Width of a head where the config does not say: `split` divides the size. */
  readonly headWidth: number | "split";
  readonly activation: { readonly key: string; readonly fallback: "silu" | "gelu_pytorch_tanh" };
  /** Biases of the projections: a field that says it, or fixed. `qkv`: not on the output. */
  readonly attentionBias: "attention_bias" | "qkv" | "none";
  readonly mlpBias: boolean;
  /** Norms over each head of queries and keys. */
  readonly headNorms: boolean;
  /** Gemma: norms are stored less one, embeddings are scaled by the root of their size. */
  readonly gemma: boolean;
  /** Norms also after attention and feed-forward. */
  readonly fourNorms: boolean;
  /** Scores are scaled by `query_pre_attn_scalar`, and bent by soft caps. */
  readonly scalars?: { readonly attentionCap: number | undefined; readonly logitCap: number | undefined };
  readonly tied: boolean;
  readonly theta: number;
  /** Layers of the two kinds have angles of their own. */
  readonly localTheta?: number;
  readonly windows: "none" | "all" | "from-layer" | "alternating" | "pattern";
}

const LLAMA_KIN: Kin = {
  vocabulary: 32000,
  size: 4096,
  inner: 11008,
  layers: 32,
  heads: 32,
  keyHeads: "same",
  headWidth: "split",
  activation: { key: "hidden_act", fallback: "silu" },
  attentionBias: "attention_bias",
  mlpBias: true,
  headNorms: false,
  gemma: false,
  fourNorms: false,
  tied: false,
  theta: 10_000,
  windows: "none",
};

interface Windows {
  readonly types: readonly LayerType[];
  readonly window: number | undefined;
}

function windowsOf(config: Config, kin: Kin, layers: number): Windows {
  const none: Windows = { types: layerTypesWithout(layers), window: undefined };
  switch (kin.windows) {
    case "none":
      return none;
    case "all": {
      config.only("layer_types");
      if (config.isNull("sliding_window")) return none;
      const types = Array.from({ length: layers }, () => "sliding_attention" as const);
      return { types, window: config.size("sliding_window", 4096) };
    }
    case "from-layer": {
      const slides = config.flag("use_sliding_window", false) && !config.isNull("sliding_window");
      const first = config.whole("max_window_layers", 28);
      const types = layerTypes(config, layers, (layer) => slides && layer >= first);
      if (!slides && types.includes("sliding_attention"))
        throw config.wrong("layer_types", "no sliding_attention where use_sliding_window is false");
      return slides ? { types, window: config.size("sliding_window", 4096) } : none;
    }
    default: {
      const every = kin.windows === "alternating" ? 2 : config.size("sliding_window_pattern", 6);
      const types = layerTypes(config, layers, (layer) => (layer + 1) % every !== 0);
      return { types, window: config.size("sliding_window", 4096) };
    }
  }
}

function layerTypesWithout(layers: number): LayerType[] {
  return Array.from({ length: layers }, () => "full_attention" as const);
}

interface Sizes {
  readonly size: number;
  readonly inner: number;
  readonly heads: number;
  readonly keyHeads: number;
  readonly width: number;
}

function sizesOf(config: Config, kin: Kin): Sizes {
  const size = config.size("hidden_size", kin.size);
  const heads = config.size("num_attention_heads", kin.heads);
  const keyHeads = config.size("num_key_value_heads", kin.keyHeads === "same" ? heads : kin.keyHeads);
  if (heads % keyHeads !== 0) throw config.wrong("num_key_value_heads", `a divisor of ${heads}`);
  const width = config.size("head_dim", kin.headWidth === "split" ? Math.floor(size / heads) : kin.headWidth);
  return { size, heads, keyHeads, width, inner: config.size("intermediate_size", kin.inner) };
}

/** What all layers of a kind share. */
interface Shared {
  readonly bias: string;
  readonly angles: Angles;
}

interface Layer extends Shared {
  readonly build: Build;
  readonly kin: Kin;
  readonly sizes: Sizes;
  readonly epsilon: number;
  readonly path: string;
  readonly index: number;
}

function norm({ build, kin, sizes, epsilon, path }: Layer, x: string, name: string): string {
  return build.net.rmsNorm(x, `${path}.${name}`, sizes.size, epsilon, kin.gemma);
}

function selfAttention(layer: Layer, x: string): string {
  const { kin, sizes, epsilon, angles, bias, index } = layer;
  const { net, config, options } = layer.build;
  const { size, heads, keyHeads, width } = sizes;
  const path = `${layer.path}.self_attn`;
  const flag = kin.attentionBias === "attention_bias" && config.flag("attention_bias", false);
  const project = (name: string, count: number): string =>
    splitHeads(
      net,
      net.linear(x, `${path}.${name}`, size, count * width, flag || kin.attentionBias === "qkv"),
      count,
      width,
    );
  const normed = (value: string, name: string): string =>
    kin.headNorms ? net.rmsNorm(value, `${path}.${name}`, width, epsilon, kin.gemma) : value;
  const q = rotate(net, normed(project("q_proj", heads), "q_norm"), angles, width);
  let k = rotate(net, normed(project("k_proj", keyHeads), "k_norm"), angles, width);
  let v = project("v_proj", keyHeads);
  if (options.kvCache) {
    k = net.g.add("Concat", [`past_key_values.${index}.key`, k], { axis: 2 });
    v = net.g.add("Concat", [`past_key_values.${index}.value`, v], { axis: 2 });
    output(net, k, `present.${index}.key`, BATCH, keyHeads, TOTAL, width);
    output(net, v, `present.${index}.value`, BATCH, keyHeads, TOTAL, width);
  }
  const scalar = kin.scalars === undefined ? width : config.number("query_pre_attn_scalar", 256);
  const mixed = attention(net, q, k, v, {
    heads,
    keyHeads,
    width,
    bias,
    scale: scalar ** -0.5,
    softcap: capOf(config, "attn_logit_softcapping", kin.scalars?.attentionCap),
  });
  return net.linear(mixed, `${path}.o_proj`, heads * width, size, flag);
}

/** A soft cap; null switches it off. */
function capOf(config: Config, key: string, fallback: number | undefined): number | undefined {
  if (config.isNull(key)) return undefined;
  return config.has(key) ? config.number(key) : fallback;
}

function feedForward({ build, kin, sizes, path }: Layer, x: string): string {
  const { net, config } = build;
  const { size, inner } = sizes;
  const bias = kin.mlpBias && config.flag("mlp_bias", false);
  let activation = activationOf(config, kin.activation.key, kin.activation.fallback);
  // Gemma's first configs say gelu and mean the approximation.
  if (kin.gemma && kin.activation.key === "hidden_act" && activation === "gelu")
    activation = "gelu_pytorch_tanh";
  const gate = net.activation(net.linear(x, `${path}.mlp.gate_proj`, size, inner, bias), activation);
  const up = net.linear(x, `${path}.mlp.up_proj`, size, inner, bias);
  return net.linear(net.mul(gate, up), `${path}.mlp.down_proj`, inner, size, bias);
}

function decoderLayer(layer: Layer, x: string): string {
  const { net } = layer.build;
  const attended = selfAttention(layer, norm(layer, x, "input_layernorm"));
  if (!layer.kin.fourNorms) {
    const middle = net.add(x, attended);
    return net.add(middle, feedForward(layer, norm(layer, middle, "post_attention_layernorm")));
  }
  const middle = net.add(x, norm(layer, attended, "post_attention_layernorm"));
  const fed = feedForward(layer, norm(layer, middle, "pre_feedforward_layernorm"));
  return net.add(middle, norm(layer, fed, "post_feedforward_layernorm"));
}

const PAST = "past_sequence";
const TOTAL = "total_sequence";

/** Inputs, and the places of queries and keys along the sequence. */
function inputs({ net, options }: Build, { keyHeads, width }: Sizes, layers: number) {
  const ids = net.g.input("input_ids", "int64", [BATCH, SEQUENCE]);
  const mask = net.g.input("attention_mask", "int64", [BATCH, options.kvCache ? TOTAL : SEQUENCE]);
  if (!options.kvCache) {
    const places = net.positions(ids, 1);
    return { ids, mask, queries: places, keys: places, positions: places, batched: false };
  }
  const positions = net.g.input("position_ids", "int64", [BATCH, SEQUENCE]);
  for (let layer = 0; layer < layers; layer++)
    for (const kind of ["key", "value"])
      net.g.input(`past_key_values.${layer}.${kind}`, net.dtype, [BATCH, keyHeads, PAST, width]);
  const past = net.sizeOf("past_key_values.0.key", 2);
  return {
    ids,
    mask,
    positions,
    batched: true,
    keys: net.positions(mask, 1),
    queries: net.add(net.positions(ids, 1), past),
  };
}

function body(build: Build, kin: Kin): Body {
  const { net, config } = build;
  const bidirectional = config.flag("use_bidirectional_attention", false);
  if (kin.localTheta === undefined) config.only("use_bidirectional_attention", false);
  config.only("pretraining_tp", 1);
  const sizes = sizesOf(config, kin);
  const { size, width } = sizes;
  const layers = config.layers("num_hidden_layers", kin.layers);
  const epsilon = config.number("rms_norm_eps", 1e-6);
  const rows = config.size("vocab_size", kin.vocabulary);
  const { types, window } = windowsOf(config, kin, layers);
  const { ids, mask, queries, keys, positions, batched } = inputs(build, sizes, layers);
  const visible = visibleKeys(net, mask);

  const shared = new Map<LayerType, Shared>();
  for (const type of new Set(types)) {
    const near = type === "sliding_attention" ? window! : undefined;
    // A window of a causal layer counts the token itself; without direction it is halved and does so on both sides.
    const behind = near === undefined ? undefined : bidirectional ? Math.floor(near / 2) : near - 1;
    const reach = { ahead: bidirectional ? behind : 0, behind };
    const local = kin.localTheta !== undefined && type === "sliding_attention";
    const rotation = rotationOf(config, {
      width,
      theta: local ? kin.localTheta! : kin.theta,
      ...(kin.localTheta === undefined ? {} : { layers: type, scaled: !local }),
      ...(local ? { thetaKey: "rope_local_base_freq" } : {}),
    });
    shared.set(type, {
      bias: maskBias(net, visible, reachedKeys(net, queries, keys, reach)),
      angles: anglesOf(net, positions, batched, rotation),
    });
  }

  const table = net.book.inside("embed_tokens");
  let hidden = net.embedding(ids, table, rows, size);
  if (kin.gemma) hidden = net.mul(hidden, net.scalar(Math.sqrt(size)));
  types.forEach((type, index) => {
    const path = net.book.inside(`layers.${index}`);
    hidden = decoderLayer({ build, kin, sizes, epsilon, path, index, ...shared.get(type)! }, hidden);
  });
  hidden = net.rmsNorm(hidden, net.book.inside("norm"), size, epsilon, kin.gemma);
  return { hidden, size, ids, embeddings: { name: `${table}.weight`, rows, size } };
}

/** The state of the last token that is no padding. */
function lastToken({ net, config }: Build, hidden: string, ids: string): string {
  const isToken = net.cast(
    net.g.add("Not", [net.g.add("Equal", [ids, net.int(config.whole("pad_token_id"))])]),
    "int64",
  );
  const places = net.mul(net.positions(ids, 1), isToken);
  return net.g.add("GatherND", [hidden, net.g.add("ArgMax", [places], { axis: -1, keepdims: 1 })], {
    batch_dims: 1,
  });
}

function decoder(kin: Kin): Architecture {
  return {
    prefix: "model",
    aside: /^(lm_head|score|qa_outputs)\./,
    heads: headsOn((build) => body(build, kin), {
      "causal-lm": (build, of) => {
        const cap = capOf(build.config, "final_logit_softcapping", kin.scalars?.logitCap);
        vocabularyLogits(build, of, of.hidden, "lm_head", { tied: kin.tied, softcap: cap });
      },
      "sequence-classification": (build, { hidden, size, ids }) => {
        const labels = labelsOf(build.config).length;
        const last = lastToken(build, hidden, ids!);
        output(build.net, build.net.linear(last, "score", size, labels, false), "logits", BATCH, labels);
      },
      "token-classification": (build, { hidden, size }) => {
        const labels = labelsOf(build.config).length;
        output(build.net, build.net.linear(hidden, "score", size, labels), "logits", BATCH, SEQUENCE, labels);
      },
    }),
  };
}

export const LLAMA = decoder(LLAMA_KIN);

export const MISTRAL = decoder({
  ...LLAMA_KIN,
  inner: 14336,
  keyHeads: 8,
  attentionBias: "none",
  mlpBias: false,
  windows: "all",
});

const QWEN_KIN: Kin = {
  ...LLAMA_KIN,
  vocabulary: 151936,
  inner: 22016,
  keyHeads: 32,
  mlpBias: false,
  windows: "from-layer",
};

export const QWEN2 = decoder({ ...QWEN_KIN, attentionBias: "qkv" });
export const QWEN3 = decoder({ ...QWEN_KIN, headWidth: 128, headNorms: true });

const GEMMA_KIN: Kin = {
  ...LLAMA_KIN,
  vocabulary: 256000,
  size: 3072,
  inner: 24576,
  layers: 28,
  heads: 16,
  keyHeads: 16,
  headWidth: 256,
  activation: { key: "hidden_act", fallback: "gelu_pytorch_tanh" },
  mlpBias: false,
  gemma: true,
  tied: true,
};

export const GEMMA = decoder(GEMMA_KIN);

const GEMMA2_KIN: Kin = {
  ...GEMMA_KIN,
  size: 2304,
  inner: 9216,
  layers: 26,
  heads: 8,
  keyHeads: 4,
  activation: { key: "hidden_activation", fallback: "gelu_pytorch_tanh" },
  fourNorms: true,
  scalars: { attentionCap: 50, logitCap: 30 },
  windows: "alternating",
};

export const GEMMA2 = decoder(GEMMA2_KIN);

export const GEMMA3_TEXT = decoder({
  ...GEMMA2_KIN,
  vocabulary: 262208,
  headNorms: true,
  scalars: { attentionCap: undefined, logitCap: undefined },
  theta: 1_000_000,
  localTheta: 10_000,
  windows: "pattern",
});
