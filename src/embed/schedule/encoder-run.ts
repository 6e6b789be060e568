/** EncoderRun: batches of tokens through an encoder's graph, inputs written as the graph has them. */
import { TenonError } from "../../base/index.js";
import type { Model, Outputs } from "../../runtime/index.js";
import { type Tensor, tensorFromStorage } from "../../tensor/core.js";
import type { TokenInput } from "../graph/names.js";
import { POOLING_MASK } from "../graph/names.js";
import type { Tokens } from "../text.js";

export interface EncoderRunOptions {
  readonly inputs: readonly TokenInput[];
  readonly poolingMask: boolean;
  readonly padId: number;
}

/** What runs counted, since the start. */
export interface EncoderCounts {
  readonly batches: number;
  readonly texts: number;
  readonly tokens: number;
  /** Tokens with padding. */
  readonly padded: number;
  /** Milliseconds of runs; lanes add up. */
  readonly busyMs: number;
}

export class EncoderRun {
  readonly #model: () => Model;
  readonly #options: EncoderRunOptions;
  #counts: EncoderCounts = { batches: 0, texts: 0, tokens: 0, padded: 0, busyMs: 0 };

  constructor(model: () => Model, options: EncoderRunOptions) {
    this.#model = model;
    this.#options = options;
  }

  get counts(): EncoderCounts {
    return this.#counts;
  }

  /** One run on texts together, padded to the longest. The output has a row a text; `start`, `ms` and `padded` tell of this run. */
  async run(
    texts: readonly Tokens[],
    bulk: boolean,
    output: string,
  ): Promise<{
    readonly outputs: Outputs;
    readonly start: number;
    readonly ms: number;
    readonly padded: number;
  }> {
    const length = texts.reduce((most, { ids }) => Math.max(most, ids.length), 1);
    const start = performance.now();
    const outputs = await this.#model().run(encoderInputs(texts, length, this.#options), {
      priority: bulk ? 1 : 0,
      outputs: [output],
    });
    const ms = performance.now() - start;
    const { batches, texts: done, tokens, padded, busyMs } = this.#counts;
    this.#counts = {
      batches: batches + 1,
      texts: done + texts.length,
      tokens: tokens + texts.reduce((sum, { ids }) => sum + ids.length, 0),
      padded: padded + texts.length * length,
      busyMs: busyMs + ms,
    };
    return { outputs, start, ms, padded: texts.length * length };
  }
}

/** The inputs of a graph for texts together, padded to `length`. */
export function encoderInputs(
  texts: readonly Tokens[],
  length: number,
  { inputs, poolingMask, padId }: EncoderRunOptions,
): Record<string, Tensor> {
  const filled = Object.fromEntries(
    inputs.map((name) => [name, int64(texts, length, FILL[name], name === "input_ids" ? padId : 0)]),
  );
  if (poolingMask) filled[POOLING_MASK] = int64(texts, length, fillPooled, 0);
  return filled;
}

/** Writes one text's numbers: int64 as pairs of 32 bits, the upper ones zero. */
type Fill = (text: Tokens, words: Int32Array, at: number) => void;

const FILL: { readonly [N in TokenInput]: Fill } = {
  input_ids: ({ ids }, words, at) => {
    for (let i = 0; i < ids.length; i++) words[at + 2 * i] = ids[i]!;
  },
  attention_mask: ({ ids, attended = ids.length }, words, at) => {
    for (let i = 0; i < attended; i++) words[at + 2 * i] = 1;
  },
  token_type_ids: ({ typeIds }, words, at) => {
    for (let i = 0; i < typeIds.length; i++) words[at + 2 * i] = typeIds[i]!;
  },
  position_ids: ({ ids }, words, at) => {
    for (let i = 0; i < ids.length; i++) words[at + 2 * i] = i;
  },
};

const fillPooled: Fill = ({ ids, unpooled }, words, at) => {
  for (let i = unpooled; i < ids.length; i++) words[at + 2 * i] = 1;
};

function int64(texts: readonly Tokens[], length: number, fill: Fill, pad: number): Tensor {
  const values = new BigInt64Array(texts.length * length);
  const words = new Int32Array(values.buffer);
  if (pad !== 0) for (let i = 0; i < words.length; i += 2) words[i] = pad;
  for (const [row, text] of texts.entries()) fill(text, words, 2 * row * length);
  return tensorFromStorage("int64", [texts.length, length], values) as Tensor;
}

/** The id of padding: the config's, else that of the tokenizer's usual token. */
export function paddingId(
  config: Readonly<Record<string, unknown>>,
  idOf: (token: string) => number | undefined,
): number {
  const given = config.pad_token_id;
  if (typeof given === "number" && Number.isInteger(given) && given >= 0) return given;
  return idOf("[PAD]") ?? idOf("<pad>") ?? 0;
}

/** Throws TEXT_TOO_LONG for a text whose attention alone would not fit into the memory that is allowed. */
export function assertFits(length: number, heads: number, memory: number, name: string): void {
  const bytes = heads * length * length * 8;
  if (bytes <= memory) return;
  throw new TenonError("TEXT_TOO_LONG", {
    problem: `${name} would take more memory than is allowed`,
    given: `${length} tokens, ${Math.ceil(bytes / 2 ** 20)} MiB of attention`,
    expected: `at most ${Math.floor(memory / 2 ** 20)} MiB`,
    do: "raise { memory }, or lower { maxTokens }",
  });
}

/** Rows of the table that token ids look up. */
export interface TokenRows {
  readonly count: number;
  tokenOf(id: number): string | undefined;
}

/** Throws INPUT_VALUE for a token that the tokenizer has and the model does not. */
export function assertRows(ids: Int32Array, { count, tokenOf }: TokenRows, name: string): void {
  const id = ids.find((one) => one >= count);
  if (id === undefined) return;
  throw new TenonError("INPUT_VALUE", {
    problem: `${name} has a token that the model has no row for`,
    given: `id ${id}, ${JSON.stringify(tokenOf(id) ?? "")}`,
    expected: `ids below ${count}, the rows of the model's embeddings`,
    do: "take the tokenizer.json that belongs to the model",
  });
}
