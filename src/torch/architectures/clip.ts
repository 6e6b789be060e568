/** CLIP: a text and an image encoder into one space; both, or one of them. */
import { type Activation, activationOf } from "./activations.js";
import { type Architecture, BATCH, type Body, type Build, SEQUENCE } from "./architecture.js";
import { maskBias, reachedKeys, visibleKeys } from "./attention.js";
import { Config } from "./config.js";
import { type LayerNames, preNormLayer } from "./encoder-layer.js";
import { firstToken, output } from "./heads.js";
import type { Network } from "./network.js";
import { gridOf, patches, pixels } from "./patches.js";

const NAMES: LayerNames = {
  query: "self_attn.q_proj",
  key: "self_attn.k_proj",
  value: "self_attn.v_proj",
  output: "self_attn.out_proj",
  attentionNorm: "layer_norm1",
  up: "mlp.fc1",
  down: "mlp.fc2",
  outputNorm: "layer_norm2",
};

interface Tower extends Body {
  /** [batch, size], before the projection. */
  readonly pooled: string;
}

interface Defaults {
  readonly size: number;
  readonly heads: number;
  readonly inner: number;
  readonly activation?: Activation;
  readonly epsilon?: number;
}

/** The encoder layers of a tower, as its config says and else as `is`. */
export function towerLayers(
  net: Network,
  config: Config,
  x: string,
  path: string,
  is: Defaults,
  bias?: string,
): string {
  const size = config.size("hidden_size", is.size);
  const heads = config.size("num_attention_heads", is.heads);
  if (size % heads !== 0) throw config.wrong("num_attention_heads", `a divisor of hidden_size, ${size}`);
  const options = {
    names: NAMES,
    size,
    heads,
    inner: config.size("intermediate_size", is.inner),
    activation: activationOf(config, "hidden_act", is.activation ?? "quick_gelu"),
    epsilon: config.number("layer_norm_eps", is.epsilon ?? 1e-5),
    bias,
  };
  let hidden = x;
  for (let layer = 0; layer < config.layers("num_hidden_layers", 12); layer++)
    hidden = preNormLayer(net, hidden, `${path}encoder.layers.${layer}`, options);
  return hidden;
}

function textTower(net: Network, config: Config, path: string, batch: string): Tower {
  const size = config.size("hidden_size", 512);
  const ids = net.g.input("input_ids", "int64", [batch, SEQUENCE]);
  const mask = net.g.input("attention_mask", "int64", [batch, SEQUENCE]);
  const rows = config.size("vocab_size", 49408);
  const words = net.embedding(ids, `${path}embeddings.token_embedding`, rows, size);
  const positions = net.positions(ids, 1);
  const places = config.size("max_position_embeddings", 77);
  const x = net.add(words, net.embedding(positions, `${path}embeddings.position_embedding`, places, size));
  const bias = maskBias(net, visibleKeys(net, mask), reachedKeys(net, positions, positions, { ahead: 0 }));
  const last = towerLayers(net, config, x, path, { size: 512, heads: 8, inner: 2048 }, bias);
  const epsilon = config.number("layer_norm_eps", 1e-5);
  const hidden = net.layerNorm(last, `${path}final_layer_norm`, size, epsilon);
  return { hidden, size, pooled: atEnd(net, config, ids, hidden) };
}

/** The state at the end of the text. Configs with the end id 2 are from before it was right: there the largest id counts. */
function atEnd(net: Network, config: Config, ids: string, hidden: string): string {
  const end = config.whole("eos_token_id", 49407);
  const marks = end === 2 ? ids : net.cast(net.g.add("Equal", [ids, net.int(end)]), "int32");
  const index = net.g.add("ArgMax", [marks], { axis: -1, keepdims: 1 });
  return net.g.add("GatherND", [hidden, index], { batch_dims: 1 });
}

function imageTower(net: Network, config: Config, path: string, batch: string): Tower {
  const size = config.size("hidden_size", 768);
  const epsilon = config.number("layer_norm_eps", 1e-5);
  const grid = gridOf(config, 32);
  const classVector = net.weight(`${path}embeddings.class_embedding`, [size]);
  const x = pixels(net, grid, batch);
  const sequence = patches(
    net,
    x,
    grid,
    size,
    `${path}embeddings.patch_embedding`,
    false,
    net.reshape(classVector, 1, 1, -1),
  );
  const placed = net.add(
    sequence,
    net.weight(`${path}embeddings.position_embedding.weight`, [grid.length, size]),
  );
  const normed = net.layerNorm(placed, `${path}pre_layrnorm`, size, epsilon);
  const hidden = towerLayers(net, config, normed, path, { size: 768, heads: 12, inner: 3072 });
  const pooled = net.layerNorm(firstToken(net, hidden), `${path}post_layernorm`, size, epsilon);
  return { hidden, size, length: grid.length, pooled };
}

/** The inner config of a tower. Old files hold overrides beside it. */
export function part(config: Config, key: "text_config" | "vision_config"): Config {
  const own = config.object(key) ?? new Config(new Map(), `config.json, ${key}`);
  const overrides = config.object(`${key}_dict`);
  return overrides === undefined ? own : own.with(overrides);
}

const TEXT = "text_model.";
const IMAGE = "vision_model.";
const ASIDE = /^(classifier|logit_scale$|text_projection|visual_projection|text_model\.|vision_model\.)/;

function unit(net: Network, x: string): string {
  const norm = net.g.add("ReduceL2", [x, net.ints(-1)], { keepdims: 1 });
  return net.g.add("Div", [x, norm]);
}

function both({ net, config }: Build): void {
  const width = config.size("projection_dim", 512);
  const text = textTower(net, part(config, "text_config"), TEXT, "text_batch");
  const image = imageTower(net, part(config, "vision_config"), IMAGE, "image_batch");
  const texts = unit(net, net.linear(text.pooled, "text_projection", text.size, width, false));
  const images = unit(net, net.linear(image.pooled, "visual_projection", image.size, width, false));
  const scale = net.g.add("Exp", [net.weight("logit_scale", [])]);
  const logits = net.mul(net.g.add("MatMul", [texts, net.transpose(images, 1, 0)]), scale);
  output(net, net.transpose(logits, 1, 0), "logits_per_image", "image_batch", "text_batch");
  output(net, logits, "logits_per_text", "text_batch", "image_batch");
  output(net, texts, "text_embeds", "text_batch", width);
  output(net, images, "image_embeds", "image_batch", width);
}

function projected(net: Network, tower: Tower, path: string, name: string, width: number): void {
  output(net, net.linear(tower.pooled, path, tower.size, width, false), name, BATCH, width);
  output(net, tower.hidden, "last_hidden_state", BATCH, tower.length ?? SEQUENCE, tower.size);
}

function bare(net: Network, tower: Tower): void {
  output(net, tower.hidden, "last_hidden_state", BATCH, tower.length ?? SEQUENCE, tower.size);
  output(net, tower.pooled, "pooler_output", BATCH, tower.size);
}

export const CLIP: Architecture = {
  prefix: "clip",
  aside: ASIDE,
  heads: {
    none: both,
    "text-embeds": ({ net, config }) => {
      const text = textTower(net, part(config, "text_config"), TEXT, BATCH);
      projected(net, text, "text_projection", "text_embeds", config.size("projection_dim", 512));
    },
    "image-embeds": ({ net, config }) => {
      const image = imageTower(net, part(config, "vision_config"), IMAGE, BATCH);
      projected(net, image, "visual_projection", "image_embeds", config.size("projection_dim", 512));
    },
  },
};

export const CLIP_TEXT: Architecture = {
  prefix: "text_model",
  aside: /^text_projection\./,
  heads: {
    none: ({ net, config }) => bare(net, textTower(net, config, net.book.inside(""), BATCH)),
    "text-embeds": ({ net, config }) => {
      const text = textTower(net, config, net.book.inside(""), BATCH);
      projected(net, text, "text_projection", "text_embeds", config.size("projection_dim", 512));
    },
  },
};

export const CLIP_VISION: Architecture = {
  prefix: "vision_model",
  aside: /^visual_projection\./,
  heads: {
    none: ({ net, config }) => bare(net, imageTower(net, config, net.book.inside(""), BATCH)),
    "image-embeds": ({ net, config }) => {
      const image = imageTower(net, config, net.book.inside(""), BATCH);
      projected(net, image, "visual_projection", "image_embeds", config.size("projection_dim", 512));
    },
  },
};
