/** What one architecture is: a body that makes hidden states, and the heads that checkpoints put on it. */
import type { Config } from "./config.js";
import type { Network } from "./network.js";

/** What stands on the body. `none` gives the hidden states. */
export type Head =
  | "none"
  | "masked-lm"
  | "causal-lm"
  | "sequence-classification"
  | "token-classification"
  | "question-answering"
  | "image-classification";

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

/** The body's result. */
export interface Body {
  /** [batch, sequence, size], after the last norm. */
  readonly hidden: string;
  readonly size: number;
  /** The weight that turns ids into vectors, for heads that are tied to it. */
  readonly embeddings?: { readonly name: string; readonly rows: number; readonly size: number };
  /** Values that the heads of this architecture need. */
  readonly mask?: string;
  readonly ids?: string;
  /** Adds the outputs of the bare model beside the hidden states. */
  readonly outputs?: () => void;
}

export interface Architecture {
  /** Under this name checkpoints of a model with a head have the body's weights. */
  readonly prefix: string;
  readonly body: (build: Build) => Body;
  /** Each adds its outputs. */
  readonly heads: { readonly [H in Exclude<Head, "none">]?: (build: Build, body: Body) => void };
  /** Weights of heads: known, and left where they are unless their head is asked for. */
  readonly aside: RegExp;
}

export const BATCH = "batch";
export const SEQUENCE = "sequence";
