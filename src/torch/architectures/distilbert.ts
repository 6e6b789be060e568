/** DistilBERT: BERT without segments, its fields and modules under names of its own. */
import { activationOf } from "./activations.js";
import { type Architecture, BATCH, type Body, type Build, SEQUENCE } from "./architecture.js";
import { biasOf, visibleKeys } from "./attention.js";
import { postNormLayer } from "./encoder-layer.js";
import { answerSpans, classify, classifyTokens, firstToken, headsOn, vocabularyLogits } from "./heads.js";

const NAMES = {
  query: "attention.q_lin",
  key: "attention.k_lin",
  value: "attention.v_lin",
  output: "attention.out_lin",
  attentionNorm: "sa_layer_norm",
  up: "ffn.lin1",
  down: "ffn.lin2",
  outputNorm: "output_layer_norm",
};

const EPSILON = 1e-12;

function body({ net, config }: Build): Body {
  config.only("pruned_heads");
  const size = config.size("dim", 768);
  const heads = config.size("n_heads", 12);
  if (size % heads !== 0) throw config.wrong("n_heads", `a divisor of dim, ${size}`);
  const ids = net.g.input("input_ids", "int64", [BATCH, SEQUENCE]);
  const mask = net.g.input("attention_mask", "int64", [BATCH, SEQUENCE]);
  const path = net.book.inside("embeddings");
  const rows = config.size("vocab_size", 30522);
  const placed = net.embedding(
    net.positions(ids, 1),
    `${path}.position_embeddings`,
    config.size("max_position_embeddings", 512),
    size,
  );
  const words = net.embedding(ids, `${path}.word_embeddings`, rows, size);
  let hidden = net.layerNorm(net.add(words, placed), `${path}.LayerNorm`, size, EPSILON);
  const options = {
    names: NAMES,
    size,
    heads,
    inner: config.size("hidden_dim", 3072),
    activation: activationOf(config, "activation", "gelu"),
    epsilon: EPSILON,
    bias: biasOf(net, visibleKeys(net, mask)),
  };
  for (let layer = 0; layer < config.layers("n_layers", 6); layer++)
    hidden = postNormLayer(net, hidden, net.book.inside(`transformer.layer.${layer}`), options);
  return { hidden, size, embeddings: { name: `${path}.word_embeddings.weight`, rows, size } };
}

function maskedLm(build: Build, of: Body): void {
  const { net, config } = build;
  const dense = net.linear(of.hidden, "vocab_transform", of.size, of.size);
  const bent = net.activation(dense, activationOf(config, "activation", "gelu"));
  const normed = net.layerNorm(bent, "vocab_layer_norm", of.size, EPSILON);
  vocabularyLogits(build, of, normed, "vocab_projector", { bias: "vocab_projector.bias", tied: true });
}

export const DISTILBERT: Architecture = {
  prefix: "distilbert",
  aside: /^(vocab_transform|vocab_layer_norm|vocab_projector|pre_classifier|classifier|qa_outputs)\./,
  heads: headsOn(body, {
    "masked-lm": maskedLm,
    "sequence-classification": (build, { hidden, size }) => {
      const { net } = build;
      const dense = net.linear(firstToken(net, hidden), "pre_classifier", size, size);
      classify(build, net.activation(dense, "relu"), "classifier", size);
    },
    "token-classification": classifyTokens,
    "question-answering": answerSpans,
  }),
};
