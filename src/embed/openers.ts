/**
 * What opens models of each kind, and what works on them: each loads its own code when it is called, so that none waits for
 * that of the others.
 */
import type { OnnxModel } from "../onnx/index.js";
import type { Metric } from "../train/index.js";
import type { Embedder } from "./embedder.js";
import type { RetrievalTask } from "./finetune/retrieval.js";
import type { TrainableEmbedder, TrainableEmbedderOptions } from "./finetune/trainable-embedder.js";
import type { HeadOptions, PreparedHead, TextScorer } from "./heads.js";
import type { Pulled, PullOptions } from "./hub/pull.js";
import type { HybridEmbedder, HybridOptions } from "./hybrid/hybrid-embedder.js";
import type { ImageEmbedder, ImageEmbedderOptions } from "./image/image-embedder.js";
import type { EmbedMatrix } from "./matrix.js";
import type { MultiEmbedder, MultiEmbedderOptions } from "./multi/multi-embedder.js";
import type { PreparedSparse, SparseEmbedder, SparseOptions } from "./sparse/sparse-embedder.js";
import type { Tagger } from "./tag/tagger.js";

/**
 * Opens a cross-encoder: a folder whose model gives a number, or some, for a pair of texts. Throws as `embedder`.
 *
 * ```ts
 * await using model = await reranker("./ms-marco-MiniLM-L6-v2");
 * const hits = await model.rank("what is a panda?", documents, { topK: 10 });
 * ```
 */
export async function reranker(folder: string, options: HeadOptions = {}): Promise<TextScorer> {
  const heads = await import("./heads.js");
  return await heads.reranker(folder, options);
}

/** Opens a model that classifies texts: `classify(texts)` gives each label's score. Throws as `embedder`. */
export async function classifier(folder: string, options: HeadOptions = {}): Promise<TextScorer> {
  const heads = await import("./heads.js");
  return await heads.classifier(folder, options);
}

/** As `reranker` and `classifier`, for an engine that loads the graph itself. */
export async function prepareHead(folder: string, options: HeadOptions = {}): Promise<PreparedHead> {
  const heads = await import("./heads.js");
  return await heads.prepareHead(folder, options);
}

/**
 * Opens a model of token classification, as of named entities: `tag(texts)` gives the labelled parts of each text. Throws as
 * `embedder`.
 *
 * ```ts
 * await using model = await tagger("./bert-base-NER");
 * const [spans] = await model.tag(["Wolfgang lives in Berlin."], { aggregation: "first" }); // { label, score, start, end, text }
 * ```
 */
export async function tagger(given: string, options: HeadOptions = {}): Promise<Tagger> {
  const tags = await import("./tag/tagger.js");
  return await tags.tagger(given, options);
}

/**
 * Opens a folder of sentence-transformers' SparseEncoder with a masked language model, or of such a model alone, which is
 * pooled as SPLADE is: `max over tokens of log(1 + relu(logit))`. Throws MODEL_INCOMPLETE, MODEL_UNSUPPORTED,
 * TOKENIZER_UNSUPPORTED, FILE_INVALID, MODEL_NOT_FOUND.
 *
 * ```ts
 * await using model = await sparseEmbedder("./splade");
 * const [vector] = await model.embed(["a red panda"]); // { indices, values }
 * ```
 */
export async function sparseEmbedder(given: string, options: SparseOptions = {}): Promise<SparseEmbedder> {
  const sparse = await import("./sparse/sparse-embedder.js");
  return await sparse.sparseEmbedder(given, options);
}

/** As `sparseEmbedder`, for an engine that loads the graph itself. */
export async function prepareSparse(given: string, options: SparseOptions = {}): Promise<PreparedSparse> {
  const sparse = await import("./sparse/sparse-embedder.js");
  return await sparse.prepareSparse(given, options);
}

/**
 * Opens a folder in the layout of BGE-M3: an embedder's, with `sparse_linear.pt` and `colbert_linear.pt` beside the model.
 * Throws as `embedder`.
 *
 * ```ts
 * await using model = await hybridEmbedder("./bge-m3");
 * const { dense, sparse, multi } = await model.all(["a red panda"]);
 * ```
 */
export async function hybridEmbedder(given: string, options: HybridOptions = {}): Promise<HybridEmbedder> {
  const hybrid = await import("./hybrid/hybrid-embedder.js");
  return await hybrid.hybridEmbedder(given, options);
}

/**
 * Opens the part of CLIP or SigLIP that sees images: a folder with `preprocessor_config.json` and weights, or
 * `onnx/vision_model.onnx`. Throws MODEL_INCOMPLETE, MODEL_UNSUPPORTED, FILE_INVALID.
 *
 * ```ts
 * await using model = await imageEmbedder("./clip-vit-base-patch32");
 * const { data, dims } = await model.images(["panda.jpg", bytes]);
 * ```
 */
export async function imageEmbedder(
  given: string,
  options: ImageEmbedderOptions = {},
): Promise<ImageEmbedder> {
  const images = await import("./image/image-embedder.js");
  return await images.imageEmbedder(given, options);
}

/**
 * Opens a model that gives a vector for each token, as ColBERT. Throws as `embedder`.
 *
 * ```ts
 * await using model = await multiEmbedder("./answerai-colbert-small-v1");
 * const hits = await model.rank("what is a panda?", documents); // { index, score, text }, best first
 * ```
 */
export async function multiEmbedder(
  given: string,
  options: MultiEmbedderOptions = {},
): Promise<MultiEmbedder> {
  const multi = await import("./multi/multi-embedder.js");
  return await multi.multiEmbedder(given, options);
}

/**
 * A graph with inputs `query` [tokens, dims], `documents` [batch, sequence, dims] and `mask` [batch, sequence] of 1 and 0; output
 * `scores` [batch]: for each token of the query its largest product with a token of the document, added up.
 */
export async function maxSimGraph(dims: number): Promise<OnnxModel> {
  const graphs = await import("./multi/multi-graph.js");
  return graphs.maxSimGraph(dims);
}

/**
 * Opens an embedder's folder (one that `embedder` opens: an encoder, or a static model) for training. Throws what
 * `embedder` and `finetune` throw.
 *
 * ```ts
 * const student = await trainableEmbedder("./all-MiniLM-L6-v2");
 * const task = student.contrast([{ anchor: "a question", positive: "its answer" }]);
 * const step = await student.model.compile({ loss: task.loss, optimizer: adamw({ lr: 2e-5 }) });
 * for await (const event of fit(step, task.data, { epochs: 1, totalSteps: task.batches })) report(event);
 * await student.save("./tuned");
 * ```
 */
export async function trainableEmbedder(
  given: string,
  options: TrainableEmbedderOptions = {},
): Promise<TrainableEmbedder> {
  const training = await import("./finetune/trainable-embedder.js");
  return await training.trainableEmbedder(given, options);
}

/**
 * Ranks all documents for each question, by cosine, and gives the mean of each metric (`recallAt`, `reciprocalRank`,
 * `ndcg` of `tenon/train`) by its name. Throws USAGE for indices that are not there.
 */
export async function retrieval<const M extends Readonly<Record<string, Metric>>>(
  model: {
    passages(texts: readonly string[]): Promise<EmbedMatrix>;
    query(text: string): Promise<ArrayLike<number>>;
  },
  task: RetrievalTask,
  metrics: M,
): Promise<{ readonly [K in keyof M]: number }> {
  const retrieving = await import("./finetune/retrieval.js");
  return await retrieving.retrieval(model, task, metrics);
}

/**
 * Writes the folder of a static model with the teacher's tokenizer: each token's vector is the teacher's of that token
 * alone. It is a start: `trainableEmbedder(folder)` trains it further, with `distil` towards the same teacher. The folder
 * must not exist. Throws USAGE, MODEL_UNSUPPORTED for a teacher whose tokenizer is none of ours.
 */
export async function staticFrom(teacher: Embedder, folder: string): Promise<void> {
  const statics = await import("./finetune/static-from.js");
  await statics.staticFrom(teacher, folder);
}

/**
 * Reads what an embedder, a reranker or a classifier needs: configuration, tokenizer and one set of weights. Files that are
 * there are not read again, and half of one is gone on with; every file is compared with the hub's hash. Follows
 * HF_HOME, HF_HUB_CACHE, HF_ENDPOINT, HF_TOKEN and HF_HUB_OFFLINE. Throws USAGE, MODEL_NOT_FOUND, SERVER_FAILED,
 * FILE_INVALID, CANCELLED.
 */
export async function pull(name: string, options: PullOptions = {}): Promise<Pulled> {
  const pulling = await import("./hub/pull.js");
  return await pulling.pull(name, options);
}
