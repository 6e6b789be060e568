/** BERT and the models that share its layers: RoBERTa, XLM-RoBERTa, CamemBERT, Data2Vec (text), ELECTRA. */
import { type Activation, activationOf } from "./activations.js";
import { type Architecture, BATCH, type Body, type Build, SEQUENCE } from "./architecture.js";
import { biasOf, visibleKeys } from "./attention.js";
import { type LayerNames, postNormLayer } from "./encoder-layer.js";
import {
  answerSpans,
  classify,
  classifyTokens,
  firstToken,
  headsOn,
  output,
  vocabularyLogits,
} from "./heads.js";
import type { Network } from "./network.js";

const NAMES: LayerNames = {
  query: "attention.self.query",
  key: "attention.self.key",
  value: "attention.self.value",
  output: "attention.output.dense",
  attentionNorm: "attention.output.LayerNorm",
  up: "intermediate.dense",
  down: "output.dense",
  outputNorm: "output.LayerNorm",
};

interface Kin {
  readonly vocabulary: number;
  readonly padId: number;
  /** `input`: segments are an input; `zero`: all tokens are of segment 0, as the tokenizers of these models have it. */
  readonly segments: "input" | "zero";
  /** `plain`: 0, 1, …; `after-padding`: tokens that are no padding are counted from the id of padding + 1. */
  readonly positions: "plain" | "after-padding";
  readonly segmentRows: number;
  readonly positionRows: number;
  readonly epsilon: number;
  /** ELECTRA: embeddings may be narrower than the layers, and there is no pooler. */
  readonly electra?: boolean;
}

function embeddings(build: Build, kin: Kin, ids: string): { x: string; width: number; rows: number } {
  const { net, config } = build;
  const size = config.size("hidden_size", kin.electra ? 256 : 768);
  const width = kin.electra ? config.size("embedding_size", 128) : size;
  const rows = config.size("vocab_size", kin.vocabulary);
  const path = net.book.inside("embeddings");
  const segmentRows = config.size("type_vocab_size", kin.segmentRows);
  const segments =
    kin.segments === "input" ? net.g.input("token_type_ids", "int64", [BATCH, SEQUENCE]) : net.int(0);
  const positionRows = config.size("max_position_embeddings", kin.positionRows);
  const positions =
    kin.positions === "plain"
      ? net.positions(ids, 1)
      : positionsAfterPadding(net, ids, config.whole("pad_token_id", kin.padId));
  const words = net.embedding(ids, `${path}.word_embeddings`, rows, width);
  const typed = net.add(words, net.embedding(segments, `${path}.token_type_embeddings`, segmentRows, width));
  const placed = net.add(typed, net.embedding(positions, `${path}.position_embeddings`, positionRows, width));
  const epsilon = config.number("layer_norm_eps", kin.epsilon);
  const normed = net.layerNorm(placed, `${path}.LayerNorm`, width, epsilon);
  const x = width === size ? normed : net.linear(normed, net.book.inside("embeddings_project"), width, size);
  return { x, width, rows };
}

/** Tokens that are no padding are counted from `padId` + 1; padding stays at `padId`. */
export function positionsAfterPadding(net: Network, ids: string, padId: number): string {
  const isToken = net.cast(net.g.add("Not", [net.g.add("Equal", [ids, net.int(padId)])]), "int64");
  const counted = net.g.add("CumSum", [isToken, net.int(1)]);
  return net.add(net.mul(counted, isToken), net.int(padId));
}

function body(build: Build, kin: Kin): Body {
  const { net, config } = build;
  config.only("position_embedding_type", "absolute");
  config.only("is_decoder", false);
  config.only("add_cross_attention", false);
  config.only("pruned_heads");
  config.only("use_task_id", false);
  const size = config.size("hidden_size", kin.electra ? 256 : 768);
  const heads = config.size("num_attention_heads", kin.electra ? 4 : 12);
  if (size % heads !== 0) throw config.wrong("num_attention_heads", `a divisor of hidden_size, ${size}`);

  const ids = net.g.input("input_ids", "int64", [BATCH, SEQUENCE]);
  const mask = net.g.input("attention_mask", "int64", [BATCH, SEQUENCE]);
  const { x, width, rows } = embeddings(build, kin, ids);
  const options = {
    names: NAMES,
    size,
    heads,
    inner: config.size("intermediate_size", kin.electra ? 1024 : 3072),
    activation: activationOf(config, "hidden_act", "gelu"),
    epsilon: config.number("layer_norm_eps", kin.epsilon),
    bias: biasOf(net, visibleKeys(net, mask)),
  };
  let hidden = x;
  for (let layer = 0; layer < config.layers("num_hidden_layers", 12); layer++)
    hidden = postNormLayer(net, hidden, net.book.inside(`encoder.layer.${layer}`), options);
  return {
    hidden,
    size,
    embeddings: { name: net.book.inside("embeddings.word_embeddings.weight"), rows, size: width },
    outputs: () => {
      // Checkpoints of heads that do not look at the first token come without it.
      if (net.book.has(net.book.inside("pooler.dense.weight")))
        output(net, pooled(net, hidden, size), "pooler_output", BATCH, size);
    },
  };
}

function pooled(net: Network, hidden: string, size: number): string {
  return net.g.add("Tanh", [
    net.linear(firstToken(net, hidden), net.book.inside("pooler.dense"), size, size),
  ]);
}

/** A dense layer and a norm before the decoder over the vocabulary. */
function transform(
  { net, config }: Build,
  { hidden, size }: Body,
  dense: string,
  norm: string,
  activation: Activation,
  epsilon: number,
  to = size,
): string {
  const bent = net.activation(net.linear(hidden, dense, size, to), activation);
  return net.layerNorm(bent, norm, to, config.number("layer_norm_eps", epsilon));
}

function bertMaskedLm(kin: Kin) {
  return (build: Build, of: Body): void => {
    const path = "cls.predictions";
    const activation = activationOf(build.config, "hidden_act", "gelu");
    const hidden = transform(
      build,
      of,
      `${path}.transform.dense`,
      `${path}.transform.LayerNorm`,
      activation,
      kin.epsilon,
    );
    vocabularyLogits(build, of, hidden, `${path}.decoder`, { bias: `${path}.bias`, tied: true });
  };
}

function robertaMaskedLm(kin: Kin) {
  return (build: Build, of: Body): void => {
    const hidden = transform(build, of, "lm_head.dense", "lm_head.layer_norm", "gelu", kin.epsilon);
    vocabularyLogits(build, of, hidden, "lm_head.decoder", { bias: "lm_head.bias", tied: true });
  };
}

/** Dense, activation, projection on the first token. */
export function classifyFirst(activation: Activation) {
  return (build: Build, { hidden, size }: Body): void => {
    const { net } = build;
    const first = net.linear(firstToken(net, hidden), "classifier.dense", size, size);
    classify(build, net.activation(first, activation), "classifier.out_proj", size);
  };
}

const BERT_KIN: Kin = {
  vocabulary: 30522,
  padId: 0,
  segments: "input",
  positions: "plain",
  segmentRows: 2,
  positionRows: 512,
  epsilon: 1e-12,
};

const ROBERTA_KIN: Kin = {
  ...BERT_KIN,
  vocabulary: 50265,
  padId: 1,
  segments: "zero",
  positions: "after-padding",
};

/** Weights of heads. A pooler that is not asked for is one. */
const ASIDE =
  /^(cls|classifier|qa_outputs|lm_head|discriminator_predictions|generator_predictions|generator_lm_head)\.|(^|\.)pooler\./;

export const BERT: Architecture = {
  prefix: "bert",
  aside: ASIDE,
  heads: headsOn((build) => body(build, BERT_KIN), {
    "masked-lm": bertMaskedLm(BERT_KIN),
    "sequence-classification": (build, { hidden, size }) =>
      classify(build, pooled(build.net, hidden, size), "classifier", size),
    "token-classification": classifyTokens,
    "question-answering": answerSpans,
  }),
};

function robertaLike(prefix: string, kin: Kin): Architecture {
  return {
    prefix,
    aside: ASIDE,
    heads: headsOn((build) => body(build, kin), {
      "masked-lm": robertaMaskedLm(kin),
      "sequence-classification": classifyFirst("tanh"),
      "token-classification": classifyTokens,
      "question-answering": answerSpans,
    }),
  };
}

export const ROBERTA = robertaLike("roberta", ROBERTA_KIN);
export const CAMEMBERT = robertaLike("roberta", { ...ROBERTA_KIN, vocabulary: 30522 });
export const DATA2VEC_TEXT = robertaLike("data2vec_text", { ...ROBERTA_KIN, vocabulary: 30522 });
const XLM_ROBERTA_KIN = { ...ROBERTA_KIN, vocabulary: 30522 };
export const XLM_ROBERTA = robertaLike("roberta", XLM_ROBERTA_KIN);

const ELECTRA_KIN: Kin = { ...BERT_KIN, electra: true };

export const ELECTRA: Architecture = {
  prefix: "electra",
  aside: ASIDE,
  heads: headsOn((build) => body(build, ELECTRA_KIN), {
    "masked-lm": (build, of) => {
      const { size } = of.embeddings!;
      const hidden = transform(
        build,
        of,
        "generator_predictions.dense",
        "generator_predictions.LayerNorm",
        "gelu",
        1e-12,
        size,
      );
      vocabularyLogits(build, of, hidden, "generator_lm_head", {
        bias: "generator_lm_head.bias",
        tied: true,
      });
    },
    "sequence-classification": classifyFirst("gelu"),
    "token-classification": classifyTokens,
    "question-answering": answerSpans,
  }),
};
