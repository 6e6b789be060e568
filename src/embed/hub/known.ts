/** Models that are known by a short name: where they lie, and what their authors say of their vectors. */
import type { PoolingMode } from "../card/pooling.js";

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
  /** Hashes of files that were compared with another source; pulled files must have them. */
  readonly files?: Readonly<Record<string, string>>;
}

function embedding(
  repository: string,
  dims: number,
  maxTokens: number,
  pooling?: PoolingMode,
  files?: KnownModel["files"],
): KnownModel {
  return {
    name: repository.slice(repository.indexOf("/") + 1),
    repository,
    task: "embed",
    dims,
    maxTokens,
    ...(pooling === undefined ? {} : { pooling }),
    ...(files === undefined ? {} : { files }),
  };
}

function reranking(repository: string, maxTokens: number): KnownModel {
  return {
    name: repository.slice(repository.indexOf("/") + 1),
    repository,
    task: "rerank",
    dims: 1,
    maxTokens,
  };
}

export const KNOWN_MODELS: readonly KnownModel[] = [
  embedding("sentence-transformers/all-MiniLM-L6-v2", 384, 256, "mean", {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
  }),
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
