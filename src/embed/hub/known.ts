/** Models that are known by a short name: where they lie, and what their authors say of their vectors. */
import type { PoolingMode } from "../card/pooling.js";
import { KNOWN_FACTS } from "./known.data.js";
import type { KnownFacts } from "./known-facts.js";

export interface KnownModel {
  readonly name: string;
  /** `owner/name` on the hub. */
  readonly repository: string;
  readonly task: "embed" | "rerank";
  /** Numbers of a vector; 1 for rerankers. */
  readonly dims: number;
  readonly maxTokens: number;
  /** Static models and rerankers have none. */
  readonly pooling?: PoolingMode;
  /**
   * Its revision, hashes and golden vectors; undefined for a model of which no copy could be had when the table was made. Such
   * a model's files are compared with the hub's own hashes alone, and its vectors with nothing.
   */
  readonly facts: KnownFacts | undefined;
}

function embedding(repository: string, dims: number, maxTokens: number, pooling?: PoolingMode): KnownModel {
  return {
    name: repository.slice(repository.indexOf("/") + 1),
    repository,
    task: "embed",
    dims,
    maxTokens,
    ...(pooling === undefined ? {} : { pooling }),
    facts: KNOWN_FACTS[repository],
  };
}

function reranking(repository: string, maxTokens: number): KnownModel {
  return {
    name: repository.slice(repository.indexOf("/") + 1),
    repository,
    task: "rerank",
    dims: 1,
    maxTokens,
    facts: KNOWN_FACTS[repository],
  };
}

export const KNOWN_MODELS: readonly KnownModel[] = [
  embedding("sentence-transformers/all-MiniLM-L6-v2", 384, 256, "mean"),
  embedding("sentence-transformers/all-MiniLM-L12-v2", 384, 128, "mean"),
  embedding("sentence-transformers/all-mpnet-base-v2", 768, 384, "mean"),
  embedding("sentence-transformers/multi-qa-MiniLM-L6-cos-v1", 384, 512, "mean"),
  embedding("sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2", 384, 128, "mean"),
  embedding("BAAI/bge-small-en-v1.5", 384, 512, "cls"),
  embedding("BAAI/bge-base-en-v1.5", 768, 512, "cls"),
  embedding("BAAI/bge-large-en-v1.5", 1024, 512, "cls"),
  embedding("BAAI/bge-m3", 1024, 8192, "cls"),
  embedding("intfloat/e5-small-v2", 384, 512, "mean"),
  embedding("intfloat/e5-base-v2", 768, 512, "mean"),
  embedding("intfloat/multilingual-e5-small", 384, 512, "mean"),
  embedding("thenlper/gte-small", 384, 512, "mean"),
  embedding("thenlper/gte-base", 768, 512, "mean"),
  embedding("Snowflake/snowflake-arctic-embed-s", 384, 512, "cls"),
  embedding("mixedbread-ai/mxbai-embed-large-v1", 1024, 512, "cls"),
  embedding("minishlab/potion-base-8M", 256, 512),
  reranking("cross-encoder/ms-marco-MiniLM-L6-v2", 512),
  reranking("BAAI/bge-reranker-base", 512),
];

/** `owner/name` of a name: that of a known model, else the name itself. */
export function repositoryOf(name: string): string {
  return KNOWN_MODELS.find((model) => model.name === name)?.repository ?? name;
}

/** What is known of a model by its short or its whole name. */
export function knownModel(name: string): KnownModel | undefined {
  return KNOWN_MODELS.find((model) => model.name === name || model.repository === name);
}
