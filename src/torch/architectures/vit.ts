/** ViT: image patches through a pre-norm encoder. */
import { activationOf } from "./activations.js";
import { type Architecture, BATCH, type Body, type Build } from "./architecture.js";
import { type LayerNames, preNormLayer } from "./encoder-layer.js";
import { classify, firstToken, headsOn, output } from "./heads.js";
import { gridOf, patches, pixels } from "./patches.js";

const NAMES: LayerNames = {
  query: "attention.q_proj",
  key: "attention.k_proj",
  value: "attention.v_proj",
  output: "attention.o_proj",
  attentionNorm: "layernorm_before",
  up: "mlp.fc1",
  down: "mlp.fc2",
  outputNorm: "layernorm_after",
};

function body({ net, config }: Build): Body {
  config.only("pruned_heads");
  const size = config.size("hidden_size", 768);
  const heads = config.size("num_attention_heads", 12);
  if (size % heads !== 0) throw config.wrong("num_attention_heads", `a divisor of hidden_size, ${size}`);
  const epsilon = config.number("layer_norm_eps", 1e-12);
  const grid = gridOf(config, 16);
  const path = net.book.inside("embeddings");
  const sequence = patches(
    net,
    pixels(net, grid),
    grid,
    size,
    `${path}.patch_embeddings.projection`,
    true,
    net.weight(`${path}.cls_token`, [1, 1, size]),
  );
  let hidden = net.add(sequence, net.weight(`${path}.position_embeddings`, [1, grid.length, size]));
  const options = {
    names: NAMES,
    size,
    heads,
    inner: config.size("intermediate_size", 3072),
    activation: activationOf(config, "hidden_act", "gelu"),
    epsilon,
    qkvBias: config.flag("qkv_bias", true),
  };
  for (let layer = 0; layer < config.layers("num_hidden_layers", 12); layer++)
    hidden = preNormLayer(net, hidden, net.book.inside(`layers.${layer}`), options);
  hidden = net.layerNorm(hidden, net.book.inside("layernorm"), size, epsilon);
  return {
    hidden,
    size,
    length: grid.length,
    outputs: () => {
      const pooler = net.book.inside("pooler.dense");
      if (!net.book.has(`${pooler}.weight`)) return;
      const to = config.size("pooler_output_size", size);
      const dense = net.linear(firstToken(net, hidden), pooler, size, to);
      output(
        net,
        net.activation(dense, activationOf(config, "pooler_act", "tanh")),
        "pooler_output",
        BATCH,
        to,
      );
    },
  };
}

export const VIT: Architecture = {
  prefix: "vit",
  aside: /^classifier\.|(^|\.)pooler\.|(^|\.)mask_token$/,
  aliases: [
    [/(^|\.)encoder\.layer\./, "$1layers."],
    [/\.attention\.attention\.query\./, ".attention.q_proj."],
    [/\.attention\.attention\.key\./, ".attention.k_proj."],
    [/\.attention\.attention\.value\./, ".attention.v_proj."],
    [/\.attention\.output\.dense\./, ".attention.o_proj."],
    [/\.intermediate\.dense\./, ".mlp.fc1."],
    [/(layers\.\d+)\.output\.dense\./, "$1.mlp.fc2."],
  ],
  heads: headsOn(body, {
    "image-classification": (build, { hidden, size }) =>
      classify(build, firstToken(build.net, hidden), "classifier", size),
  }),
};
