/** What models of texts are to the server: made elsewhere, found here by the name that their model has in the engine. */

/** A text, or its tokens without the special ones. */
export type TextInput = string | readonly number[];

export type TruncateSide = "right" | "left" | "error";

export interface TextOptions {
  readonly signal: AbortSignal;
  readonly truncate: TruncateSide;
  readonly promptName?: string;
  /** What the call's time goes to is added here. */
  readonly times?: TextTimes;
}

/** Sums over texts, in milliseconds; undefined where it was not measured. */
export interface TextTimes {
  texts: number;
  /** Texts to tokens. */
  tokenizeMs?: number;
  /** From a text's tokens to the start of its run. */
  queueMs?: number;
  /** The run that a text was in. */
  runMs?: number;
}

/** Vectors by row, and the tokens that each text took. */
export interface TextVectors {
  readonly data: Float32Array;
  readonly rows: number;
  readonly dims: number;
  readonly tokens: Uint32Array;
}

export interface TextToken {
  readonly id: number;
  readonly text: string;
  readonly special: boolean;
  /** Where it stands in the text, in characters; null for special ones. */
  readonly start: number | null;
  readonly stop: number | null;
}

/** What tokens go in and out of, whatever the model makes of them. */
export interface TextModelBase {
  readonly name: string;
  readonly maxTokens: number;
  /** The type of most of its weights. */
  readonly dtype: string;
  /** Most tokens of one run. */
  readonly batchTokens: number;
  /** Throws USAGE for a prompt that the model does not have. */
  tokenize(
    text: string,
    options: { readonly special: boolean; readonly promptName?: string },
  ): readonly TextToken[];
  decode(ids: readonly number[], skipSpecial: boolean): string;
}

export interface VectorModel extends TextModelBase {
  readonly kind: "embedding";
  readonly pooling: string;
  /** Its vectors have length 1. */
  readonly normalized: boolean;
  readonly dims: number;
  embed(inputs: readonly TextInput[], options: TextOptions): Promise<TextVectors>;
  /** A vector for each token of one text. */
  embedTokens(input: string, options: TextOptions): Promise<Pick<TextVectors, "data" | "rows" | "dims">>;
}

/** Numbers of labels for a text or a pair. */
export interface ScoreModel extends TextModelBase {
  /** A reranker has one number a pair. */
  readonly kind: "reranker" | "classifier";
  readonly labels: readonly string[];
  rank(
    query: string,
    texts: readonly string[],
    options: TextOptions & { readonly rawScores: boolean },
  ): Promise<readonly { readonly index: number; readonly score: number }[]>;
  classify(
    inputs: readonly (string | readonly [string, string])[],
    options: TextOptions & { readonly rawScores: boolean },
  ): Promise<readonly (readonly { readonly label: string; readonly score: number }[])[]>;
}

/** Weights of the vocabulary's tokens. */
export interface SparseModel extends TextModelBase {
  readonly kind: "sparse";
  embedSparse(
    inputs: readonly string[],
    options: TextOptions,
  ): Promise<readonly { readonly indices: ArrayLike<number>; readonly values: ArrayLike<number> }[]>;
}

export type TextModel = VectorModel | ScoreModel | SparseModel;

/** The models of texts that a server has now. */
export interface TextModels {
  list(): readonly TextModel[];
}
