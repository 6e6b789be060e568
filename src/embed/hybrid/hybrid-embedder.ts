/** HybridEmbedder: the dense, the sparse and the multi-vector form of a text from one run of one model (BGE-M3). */
import { TenonError } from "../../base/index.js";
import { type CardOptions, type ModelCard, readCard, type TruncateSide } from "../card/card.js";
import { isFields, readFields } from "../card/files.js";
import type { ScoreOptions } from "../heads.js";
import { modelFolder } from "../hub/cache.js";
import { EmbedMatrix } from "../matrix.js";
import { type OpenedModel, type OpenOptions, onEngine } from "../opened.js";
import { type PromptOptions, promptFor } from "../prompts.js";
import { groupEnd } from "../schedule/groups.js";
import { inSlices } from "../schedule/slices.js";
import { type RunnerLimits, type TextRunner, textRunner } from "../schedule/text-runner.js";
import { type SparseVector, sparseOf } from "../sparse/sparse-vector.js";
import { checkTexts, TextEncoder, type Tokens } from "../text.js";
import { HYBRID, type HybridGraph, hybridGraph } from "./hybrid-graph.js";

export interface HybridOptions extends CardOptions, OpenOptions, RunnerLimits {
  /** Texts that are longer than the model reads: cut at this side (default `right`), or refused. */
  readonly truncate?: TruncateSide;
}

/** All that the model says of some texts, each list in their order. */
export interface HybridVectors {
  readonly dense: EmbedMatrix<Float32Array>;
  /** By tokens of the vocabulary: the largest weight of a token's places. */
  readonly sparse: SparseVector[];
  /** A vector of length 1 for each token behind the first. */
  readonly multi: EmbedMatrix<Float32Array>[];
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
  const prepare = async () => {
    const card = readCard(modelFolder(given), options);
    const text = await TextEncoder.open(card, options.truncate ?? "right");
    return { card, text, made: await hybridGraph(card) };
  };
  return onEngine(
    given,
    options,
    prepare,
    async (prepared, load) =>
      new HybridEmbedder({ ...prepared, opened: await load(prepared.made.model), limits: options }),
  );
}

interface Parts {
  readonly card: ModelCard;
  readonly text: TextEncoder;
  readonly made: HybridGraph;
  readonly opened: OpenedModel;
  readonly limits: RunnerLimits;
}

/** Made by `hybridEmbedder`. */
export class HybridEmbedder {
  readonly card: ModelCard;
  /** Numbers of a dense vector. */
  readonly dims: number;
  /** Numbers of a token's vector. */
  readonly multiDims: number;
  readonly #parts: Parts;
  readonly #runner: TextRunner;
  readonly #unweighed: ReadonlySet<number>;
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    const { card, made, text, opened, limits } = parts;
    this.card = card;
    this.dims = made.dims;
    this.multiDims = made.multiDims;
    this.#parts = parts;
    this.#unweighed = unweighed(card, text);
    this.#runner = textRunner(opened, { ...made, config: card.config, text, output: HYBRID, limits });
  }

  get tokenizer(): TextEncoder["tokenizer"] {
    return this.#parts.text.tokenizer;
  }

  /**
   * Dense vectors as `embed` of an embedder gives them, sparse ones without the tokens that frame, fill up or replace text,
   * and the vectors of tokens. Rejects as `Embedder.embed`.
   */
  async all(texts: readonly string[], options: ScoreOptions & PromptOptions = {}): Promise<HybridVectors> {
    checkTexts(texts);
    const { card } = this;
    const { text } = this.#parts;
    const prompt = promptFor(card, "any", options);
    const dense = new Float32Array(texts.length * this.dims);
    const lengths = new Uint32Array(texts.length);
    const cut: number[] = [];
    const sparse: SparseVector[] = [];
    const multi: EmbedMatrix<Float32Array>[] = [];
    const tokens = await inSlices(texts, (one, row) => {
      const name = `text ${row}`;
      return this.#runner.checked(text.encode(one, prompt, name, options.truncate), name);
    });
    const counts = tokens.map(({ ids }) => ids.length);
    for (let from = 0; from < tokens.length; ) {
      const to = groupEnd(counts, from, (length) => this.#width(length));
      const { data, width } = await this.#rows(texts, tokens, from, to, options);
      await inSlices(tokens.slice(from, to), ({ ids, truncated }, i) => {
        const row = data.subarray(i * width, (i + 1) * width);
        dense.set(row.subarray(0, this.dims), (from + i) * this.dims);
        lengths[from + i] = ids.length;
        if (truncated) cut.push(from + i);
        sparse.push(this.#sparse(ids, row));
        multi.push(this.#multi(ids, row, truncated));
      });
      from = to;
    }
    return { dense: new EmbedMatrix(dense, texts.length, this.dims, lengths, cut), sparse, multi };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ── inside ───────────────────────────────────────────────────────────────────────────────────

  async #close(): Promise<void> {
    const { opened } = this.#parts;
    const { name } = opened.model();
    await this.#runner.close(new TenonError("ENGINE_CLOSED", { problem: `model "${name}" was closed` }));
    await opened.release();
  }

  #width(length: number): number {
    return this.dims + length * (1 + this.multiDims);
  }

  /** The rows of some texts. A batch's are as long as its longest text, and begin with the text's own tokens. */
  async #rows(
    texts: readonly string[],
    tokens: readonly Tokens[],
    from: number,
    to: number,
    { signal }: ScoreOptions,
  ): Promise<{ readonly data: Float32Array; readonly width: number }> {
    const some = tokens.slice(from, to);
    const width = this.#width(some.reduce((most, { ids }) => Math.max(most, ids.length), 0));
    const data = new Float32Array(some.length * width);
    const rows = {
      data,
      width,
      count: some.length,
      tokensOf: (row: number) => some[row]!,
      keyOf: (row: number) => texts[from + row]!,
    };
    await this.#runner.collect(rows, signal === undefined ? {} : { signal });
    return { data, width };
  }

  #sparse(ids: Int32Array, row: Float32Array): SparseVector {
    const largest = new Map<number, number>();
    ids.forEach((id, at) => {
      const weight = row[this.#width(at)]!;
      if (weight > (largest.get(id) ?? 0) && !this.#unweighed.has(id)) largest.set(id, weight);
    });
    return sparseOf(largest);
  }

  #multi(ids: Int32Array, row: Float32Array, truncated: boolean): EmbedMatrix<Float32Array> {
    const { multiDims } = this;
    const count = Math.max(ids.length - 1, 0);
    const vectors = new Float32Array(count * multiDims);
    for (let i = 0; i < count; i++) {
      const at = this.#width(i + 1) + 1;
      vectors.set(row.subarray(at, at + multiDims), i * multiDims);
    }
    return new EmbedMatrix(vectors, count, multiDims, new Uint32Array(count).fill(1), truncated ? [0] : []);
  }
}

/** Tokens without a weight, with what XLM-R calls them. */
const UNWEIGHED: Readonly<Record<string, string>> = {
  cls_token: "<s>",
  eos_token: "</s>",
  pad_token: "<pad>",
  unk_token: "<unk>",
};

/** The ids of those tokens, as the tokenizer's own files name them. */
function unweighed({ transformer }: ModelCard, { tokenizer }: TextEncoder): ReadonlySet<number> {
  const ids = new Set<number>();
  const named = readFields(transformer, "tokenizer_config.json") ?? {};
  for (const [key, usual] of Object.entries(UNWEIGHED)) {
    const said = named[key];
    const word = isFields(said) ? said.content : said;
    const id = tokenizer.idOf(typeof word === "string" ? word : usual);
    if (id !== undefined) ids.add(id);
  }
  return ids;
}
