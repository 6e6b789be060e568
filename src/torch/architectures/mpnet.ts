/** MPNet: a post-norm encoder whose attention has a bias by the distance of two tokens, shared by all layers. */
import { tensor } from "../../tensor/index.js";
import { activationOf } from "./activations.js";
import { type Architecture, BATCH, type Body, type Build, SEQUENCE } from "./architecture.js";
import { biasOf, visibleKeys } from "./attention.js";
import { classifyFirst, positionsAfterPadding } from "./bert.js";
import { postNormLayer } from "./encoder-layer.js";
import { answerSpans, classifyTokens, firstToken, headsOn, output, vocabularyLogits } from "./heads.js";
import type { Network } from "./network.js";

const NAMES = {
  query: "attention.attn.q",
  key: "attention.attn.k",
  value: "attention.attn.v",
  output: "attention.attn.o",
  attentionNorm: "attention.LayerNorm",
  up: "intermediate.dense",
  down: "output.dense",
  outputNorm: "output.LayerNorm",
};

/** The reference fixes both, whatever the config says of its number of rows. */
const BUCKETS = 32;
const FARTHEST = 128;
const PAD_ID = 1;

/** Bucket of a distance (key minus query), in the float32 arithmetic of the reference. */
function bucketOf(distance: number): number {
  const half = BUCKETS / 2;
  const exact = half / 2;
  const side = distance > 0 ? half : 0;
  const far = Math.abs(distance);
  if (far < exact) return side + far;
  const ratio = Math.fround(
    Math.fround(Math.log(Math.fround(far / exact))) / Math.fround(Math.log(FARTHEST / exact)),
  );
  return side + Math.min(half - 1, exact + Math.trunc(Math.fround(ratio * (half - exact))));
}

/** [1, heads, sequence, sequence]. */
function distanceBias(net: Network, ids: string, rows: number, heads: number): string {
  const table = Array.from({ length: 2 * FARTHEST + 1 }, (_, i) => BigInt(bucketOf(i - FARTHEST)));
  const buckets = net.g.initializer("distance_buckets", tensor(table, { dtype: "int64" }));
  const positions = net.positions(ids, 1);
  const keys = net.g.add("Unsqueeze", [positions, net.ints(0)]);
  const queries = net.g.add("Unsqueeze", [positions, net.ints(1)]);
  const distance = net.g.add("Sub", [keys, queries]);
  const near = net.g.add("Clip", [distance, net.int(-FARTHEST), net.int(FARTHEST)]);
  const bucket = net.g.add("Gather", [buckets, net.add(near, net.int(FARTHEST))], { axis: 0 });
  const bias = net.embedding(bucket, net.book.inside("encoder.relative_attention_bias"), rows, heads);
  return net.g.add("Unsqueeze", [net.transpose(bias, 2, 0, 1), net.ints(0)]);
}

function body({ net, config }: Build): Body {
  config.only("pruned_heads");
  const size = config.size("hidden_size", 768);
  const heads = config.size("num_attention_heads", 12);
  if (size % heads !== 0) throw config.wrong("num_attention_heads", `a divisor of hidden_size, ${size}`);
  const rows = config.size("vocab_size", 30527);
  const epsilon = config.number("layer_norm_eps", 1e-12);
  const biasRows = config.size("relative_attention_num_buckets", BUCKETS);
  if (biasRows < BUCKETS) throw config.wrong("relative_attention_num_buckets", `at least ${BUCKETS}`);
  const ids = net.g.input("input_ids", "int64", [BATCH, SEQUENCE]);
  const mask = net.g.input("attention_mask", "int64", [BATCH, SEQUENCE]);
  const path = net.book.inside("embeddings");
  const words = net.embedding(ids, `${path}.word_embeddings`, rows, size);
  const places = config.size("max_position_embeddings", 512);
  const positions = positionsAfterPadding(net, ids, PAD_ID);
  const placed = net.add(words, net.embedding(positions, `${path}.position_embeddings`, places, size));
  let hidden = net.layerNorm(placed, `${path}.LayerNorm`, size, epsilon);
  const options = {
    names: NAMES,
    size,
    heads,
    inner: config.size("intermediate_size", 3072),
    activation: activationOf(config, "hidden_act", "gelu"),
    epsilon,
    bias: net.add(distanceBias(net, ids, biasRows, heads), biasOf(net, visibleKeys(net, mask))),
  };
  for (let layer = 0; layer < config.layers("num_hidden_layers", 12); layer++)
    hidden = postNormLayer(net, hidden, net.book.inside(`encoder.layer.${layer}`), options);
  return {
    hidden,
    size,
    embeddings: { name: `${path}.word_embeddings.weight`, rows, size },
    outputs: () => {
      const pooler = net.book.inside("pooler.dense");
      if (!net.book.has(`${pooler}.weight`)) return;
      const pooled = net.g.add("Tanh", [net.linear(firstToken(net, hidden), pooler, size, size)]);
      output(net, pooled, "pooler_output", BATCH, size);
    },
  };
}

function maskedLm(build: Build, of: Body): void {
  const { net, config } = build;
  const bent = net.activation(net.linear(of.hidden, "lm_head.dense", of.size, of.size), "gelu");
  const normed = net.layerNorm(bent, "lm_head.layer_norm", of.size, config.number("layer_norm_eps", 1e-12));
  vocabularyLogits(build, of, normed, "lm_head.decoder", { bias: "lm_head.bias", tied: true });
}

export const MPNET: Architecture = {
  prefix: "mpnet",
  aside: /^(lm_head|classifier|qa_outputs)\.|(^|\.)pooler\./,
  heads: headsOn(body, {
    "masked-lm": maskedLm,
    "sequence-classification": classifyFirst("tanh"),
    "token-classification": classifyTokens,
    "question-answering": answerSpans,
  }),
};
