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
export type { RetrievalTask } from "./finetune/retrieval.js";

export type {
  ContrastOptions,
  DistilOptions,
  EmbedTask,
  TaskOptions,
  TextPair,
} from "./finetune/tasks.js";
export type { TrainableEmbedder, TrainableEmbedderOptions } from "./finetune/trainable-embedder.js";
export type { GoldenCheck } from "./golden.js";
export type { OutputType, Quant } from "./graph/names.js";
export { isHeadFolder } from "./head-folder.js";
export type {
  HeadOptions,
  LabelScore,
  PreparedHead,
  RankHit,
  RankOptions,
  ScoreOptions,
  TextOrPair,
  TextScorer,
} from "./heads.js";
export { modelFolder } from "./hub/cache.js";
export { KNOWN_MODELS, type KnownModel } from "./hub/known.js";
export type { GoldenVectors, KnownFacts } from "./hub/known-facts.js";
export { type KnownFiles, knownFiles } from "./hub/known-folder.js";
export type { Pulled, PullOptions } from "./hub/pull.js";
export type { HybridEmbedder, HybridOptions, HybridVectors } from "./hybrid/hybrid-embedder.js";
export type { ImageInput } from "./image/decode.js";
export type { ImageEmbedder, ImageEmbedderOptions } from "./image/image-embedder.js";
export { type ImageRules, preprocess, readImageRules } from "./image/preprocess.js";
export type { Pixels } from "./image/resize.js";
export { type ChunkSpan, type LateChunkOptions, type LateChunks, lateChunks } from "./late-chunks.js";
export { EmbedMatrix, type MatrixData } from "./matrix.js";
export type { MultiCard, MultiOptions } from "./multi/multi-card.js";
export type { MultiEmbedder, MultiEmbedderOptions } from "./multi/multi-embedder.js";
export { type Muvera, type MuveraOptions, muvera } from "./multi/muvera.js";
export { poolTokens, type TokenPoolOptions } from "./multi/token-pool.js";
export type { OpenOptions } from "./opened.js";
export {
  classifier,
  hybridEmbedder,
  imageEmbedder,
  maxSimGraph,
  multiEmbedder,
  prepareHead,
  prepareSparse,
  pull,
  reranker,
  retrieval,
  sparseEmbedder,
  staticFrom,
  tagger,
  trainableEmbedder,
} from "./openers.js";
export type { PromptOptions } from "./prompts.js";
export { type Int8Ranges, int8Ranges } from "./quantise.js";
export type { StreamedVector, StreamOptions } from "./schedule/stream.js";
export type { RunnerLimits } from "./schedule/text-runner.js";
export type { TextTimes, Timed } from "./schedule/text-times.js";
export {
  loadIndex,
  type SearchHit,
  type SearchIndex,
  type SearchIndexOptions,
  type SearchMetric,
  type SearchOptions,
  searchIndex,
  type VectorRows,
} from "./search/search-index.js";
export type { SearchStorage } from "./search/segment.js";
export { type Bm25, type Bm25Options, type Bm25Statistics, bm25 } from "./sparse/bm25.js";
export { englishStem } from "./sparse/english-stemmer.js";
export type {
  PreparedSparse,
  SparseCallOptions,
  SparseEmbedder,
  SparseOptions,
} from "./sparse/sparse-embedder.js";
export { isSparseFolder } from "./sparse/sparse-folder.js";
export type { SparseVector } from "./sparse/sparse-vector.js";
export { isStaticFolder } from "./static/static-folder.js";
export { AGGREGATIONS, type Aggregation, type TagSpan } from "./tag/spans.js";
export type { Tagger, TagOptions } from "./tag/tagger.js";
export type { Encoding } from "./tokenizers/encoding.js";
export { openTokenizer, type TextTokenizer, type TokenizerOptions } from "./tokenizers/fallback.js";
export { type EncodeOptions, Tokenizer, type WindowOptions } from "./tokenizers/tokenizer.js";
