/**
 * SigLIP: an image encoder of patches without a class vector, pooled by attention from one learned query, and a text encoder
 * that reads texts of one length, filled up and with the filling seen, and is pooled at their last place.
 */
import { activationOf } from "./activations.js";
import { type Architecture, BATCH, type Body, type Build, SEQUENCE } from "./architecture.js";
import { attention, splitHeads } from "./attention.js";
import { part, towerLayers } from "./clip.js";
import type { Config } from "./config.js";
import { firstToken, output } from "./heads.js";
import type { Network } from "./network.js";
import { gridOf, pixels, tiles } from "./patches.js";

const IMAGE = "vision_model.";
const TEXT = "text_model.";
const ASIDE = /^(logit_scale|logit_bias)$|^(text|vision)_model\./;

interface Tower extends Body {
  readonly path: string;
}

function imageTower(net: Network, config: Config, path: string): Tower {
  const size = config.size("hidden_size", 768);
  const grid = gridOf(config, 16);
  const length = grid.length - 1; // no class vector
  const sequence = tiles(net, pixels(net, grid), grid, size, `${path}embeddings.patch_embedding`, true);
  const places = net.weight(`${path}embeddings.position_embedding.weight`, [length, size]);
  const last = towerLayers(net, config, net.add(sequence, places), path, {
    size: 768,
    heads: 12,
    inner: 3072,
    activation: "gelu_pytorch_tanh",
    epsilon: 1e-6,
  });
  return {
    hidden: net.layerNorm(last, `${path}post_layernorm`, size, epsilonOf(config)),
    size,
    length,
    path,
  };
}

function epsilonOf(config: Config): number {
  return config.number("layer_norm_eps", 1e-6);
}

/** [batch, size]: what a learned query finds in the patches, through one more feed-forward. */
function pooled(net: Network, config: Config, { hidden, size, path }: Tower): string {
  const head = `${path}head`;
  const heads = config.size("num_attention_heads", 12);
  const width = size / heads;
  const weight = net.weight(`${head}.attention.in_proj_weight`, [3 * size, size]);
  const bias = net.weight(`${head}.attention.in_proj_bias`, [3 * size]);
  // Queries, keys and values lie below each other.
  const third = (x: string, at: number): string =>
    net.g.add("Slice", [x, net.ints(at * size), net.ints((at + 1) * size), net.ints(0)]);
  const split = (x: string, at: number): string =>
    splitHeads(net, net.project(x, third(weight, at), third(bias, at)), heads, width);
  const query = split(net.weight(`${head}.probe`, [1, 1, size]), 0);
  const mixed = attention(net, query, split(hidden, 1), split(hidden, 2), { heads, keyHeads: heads, width });
  const found = net.linear(mixed, `${head}.attention.out_proj`, size, size);
  const normed = net.layerNorm(found, `${head}.layernorm`, size, epsilonOf(config));
  const inner = config.size("intermediate_size", 3072);
  const activation = activationOf(config, "hidden_act", "gelu_pytorch_tanh");
  const up = net.activation(net.linear(normed, `${head}.mlp.fc1`, size, inner), activation);
  return firstToken(net, net.add(found, net.linear(up, `${head}.mlp.fc2`, inner, size)));
}

function embeds({ net }: Build, config: Config, path: string): void {
  config.only("vision_use_head", true);
  const tower = imageTower(net, config, path);
  output(net, pooled(net, config, tower), "image_embeds", BATCH, tower.size);
  output(net, tower.hidden, "last_hidden_state", BATCH, tower.length!, tower.size);
}

function textTower(net: Network, config: Config, path: string): Body & { readonly pooled: string } {
  const size = config.size("hidden_size", 768);
  const ids = net.g.input("input_ids", "int64", [BATCH, SEQUENCE]);
  const words = net.embedding(
    ids,
    `${path}embeddings.token_embedding`,
    config.size("vocab_size", 32000),
    size,
  );
  const places = config.size("max_position_embeddings", 64);
  const positions = net.embedding(
    net.positions(ids, 1),
    `${path}embeddings.position_embedding`,
    places,
    size,
  );
  const last = towerLayers(net, config, net.add(words, positions), path, {
    size: 768,
    heads: 12,
    inner: 3072,
    activation: "gelu_pytorch_tanh",
    epsilon: 1e-6,
  });
  const hidden = net.layerNorm(last, `${path}final_layer_norm`, size, epsilonOf(config));
  const end = net.g.add("Gather", [hidden, net.int(-1)], { axis: 1 });
  return { hidden, size, pooled: net.linear(end, `${path}head`, size, projection(config, size)) };
}

function projection(config: Config, size: number): number {
  return config.size("projection_size", size);
}

function texts({ net }: Build, config: Config, path: string, name: string): void {
  const { hidden, size, pooled: vector } = textTower(net, config, path);
  output(net, vector, name, BATCH, projection(config, size));
  output(net, hidden, "last_hidden_state", BATCH, SEQUENCE, size);
}

/** The whole model's folder, of which one of both parts is built. */
export const SIGLIP: Architecture = {
  prefix: "siglip",
  aside: ASIDE,
  heads: {
    "image-embeds": (build) => embeds(build, part(build.config, "vision_config"), IMAGE),
    "text-embeds": (build) => texts(build, part(build.config, "text_config"), TEXT, "text_embeds"),
  },
};

export const SIGLIP_TEXT: Architecture = {
  prefix: "text_model",
  aside: /^$/,
  heads: {
    none: (build) => texts(build, build.config, build.net.book.inside(""), "pooler_output"),
    "text-embeds": (build) => texts(build, build.config, build.net.book.inside(""), "text_embeds"),
  },
};

export const SIGLIP_VISION: Architecture = {
  prefix: "vision_model",
  aside: /^$/,
  heads: {
    none: ({ net, config }) => {
      const tower = imageTower(net, config, net.book.inside(""));
      output(net, tower.hidden, "last_hidden_state", BATCH, tower.length!, tower.size);
      if (config.flag("vision_use_head", true))
        output(net, pooled(net, config, tower), "pooler_output", BATCH, tower.size);
    },
    "image-embeds": (build) => embeds(build, build.config, build.net.book.inside("")),
  },
};
