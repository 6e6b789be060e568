/** tenon/embed: texts to vectors, and the tokenizers, model cards and graphs that this takes. */

export type { Accuracy } from "./accuracy.js";
export type {
  CardOptions,
  DenseActivation,
  DenseModule,
  ModelCard,
  Similarity,
  Sourced,
  TextCard,
  TruncateSide,
} from "./card/card.js";
export { POOLINGS, type PoolingMode } from "./card/pooling.js";
export {
  type Embedder,
  type EmbedderOptions,
  type EmbedOptions,
  type Explanation,
  embedder,
  type PreparedEmbedder,
  prepareEmbedder,
} from "./embedder.js";
export type { Quant } from "./graph/dense.js";
export type { OutputType } from "./graph/tail.js";
export {
  classifier,
  type HeadOptions,
  isHeadFolder,
  type LabelScore,
  type PreparedHead,
  prepareHead,
  type RankHit,
  type RankOptions,
  reranker,
  type ScoreOptions,
  type TextOrPair,
  type TextScorer,
} from "./heads.js";
export { EmbedMatrix, type MatrixData } from "./matrix.js";
export type { OpenOptions } from "./opened.js";
export type { PromptOptions } from "./prompts.js";
export { type Int8Ranges, int8Ranges } from "./quantise.js";
export type { StreamedVector, StreamOptions } from "./schedule/stream.js";
export type { RunnerLimits } from "./schedule/text-runner.js";
export type { Encoding } from "./tokenizers/encoding.js";
export { openTokenizer, type TextTokenizer } from "./tokenizers/fallback.js";
export { type EncodeOptions, Tokenizer, type WindowOptions } from "./tokenizers/tokenizer.js";
