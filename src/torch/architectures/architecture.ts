/** What one architecture is: a body that makes hidden states, and the heads that checkpoints put on it. */
import type { Config } from "./config.js";
import type { Network } from "./network.js";
import type { Alias } from "./weight-book.js";

/** What stands on the body. `none` gives the hidden states. */
export type Head =
  | "none"
  | "masked-lm"
  | "causal-lm"
  | "sequence-classification"
  | "token-classification"
  | "question-answering"
  | "image-classification"
  | "text-embeds"
  | "image-embeds";

export interface BuildOptions {
  /** Past keys and values as inputs, present ones as outputs; for decoders. */
  readonly kvCache: boolean;
}

/** What builders work on. */
export interface Build {
  readonly net: Network;
  readonly config: Config;
  readonly options: BuildOptions;
}

/** What a body gives to its heads. */
export interface Body {
  /** [batch, sequence, size], after the last norm. */
  readonly hidden: string;
  readonly size: number;
  /** The weight that turns ids into vectors, for heads that are tied to it. */
  readonly embeddings?: { readonly name: string; readonly rows: number; readonly size: number };
  /** `attention_mask` and `input_ids`, for heads that pool by them. */
  readonly mask?: string;
  readonly ids?: string;
  /** How long the sequence is, where that is no free size. */
  readonly length?: number;
  /** Adds the outputs of the bare model beside the hidden states. */
  readonly outputs?: () => void;
}

/** Adds its inputs, nodes and outputs. */
export type Builder = (build: Build) => void;

export interface Architecture {
  /** Under this name checkpoints of a model with a head have the body's weights. */
  readonly prefix: string;
  readonly heads: { readonly [H in Head]?: Builder };
  /** Weights of heads: known, and left where they are unless their head is asked for. */
  readonly aside: RegExp;
  /** Names that some checkpoints use for weights of other names, as replacements in their order. */
  readonly aliases?: readonly Alias[];
}

export const BATCH = "batch";
export const SEQUENCE = "sequence";
