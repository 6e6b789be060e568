/** MultiEmbedder: a vector for each token of a text (ColBERT), and texts by how well their tokens answer a query's. */
import { TenonError } from "../../base/index.js";
import { type Model, modelNameOf } from "../../runtime/index.js";
import { type Tensor, tensorFromStorage } from "../../tensor/core.js";
import { idRows } from "../graph/body.js";
import type { HeadOptions, RankHit, ScoreOptions } from "../heads.js";
import { modelFolder } from "../hub/cache.js";
import { EmbedMatrix } from "../matrix.js";
import { type OpenedModel, onEngine } from "../opened.js";
import { groupEnd } from "../schedule/groups.js";
import { inSlices } from "../schedule/slices.js";
import { type TextRunner, textRunner } from "../schedule/text-runner.js";
import { checkTexts, TextEncoder, type Tokens } from "../text.js";
import { type MultiCard, type MultiOptions, readMultiCard } from "./multi-card.js";
import { type MultiGraph, maxSimGraph, multiGraph, TOKEN_VECTORS } from "./multi-graph.js";

export interface MultiEmbedderOptions
  extends MultiOptions,
    Pick<HeadOptions, "memory" | "budget" | "engine" | "name" | "lanes" | "cache"> {}

/**
 * Opens a late-interaction model: a folder of PyLate, of sentence-transformers' MultiVectorEncoder, or a checkpoint of the
 * original ColBERT (`artifact.metadata`, `linear.weight`).
 * Throws as `embedder`.
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
  const prepare = async () => {
    const card = readMultiCard(modelFolder(given), options);
    const made = await multiGraph(card);
    return { card, made, text: await TextEncoder.open({ ...card, includePrompt: true }, "right") };
  };
  return onEngine(given, options, prepare, async (prepared, load, engine) => {
    const opened = await load(prepared.made.model);
    const name = options.name ?? modelNameOf(given, undefined);
    const maxSim = await engine.load(maxSimGraph(prepared.made.dims), {
      name: `${name}.maxsim`,
      batch: { max: 1 },
      calibrate: false,
    });
    return new MultiEmbedder({ ...prepared, opened, maxSim, options });
  });
}

interface Parts {
  readonly card: MultiCard;
  readonly made: MultiGraph;
  readonly text: TextEncoder;
  readonly opened: OpenedModel;
  readonly maxSim: Model;
  readonly options: MultiEmbedderOptions;
}

/** Made by `multiEmbedder`. */
export class MultiEmbedder {
  readonly card: MultiCard;
  /** Numbers of a vector. */
  readonly dims: number;
  readonly #parts: Parts;
  readonly #text: TextEncoder;
  readonly #runner: TextRunner;
  readonly #skipped: ReadonlySet<number>;
  readonly #mask: number | undefined;
  #closing: Promise<void> | undefined;

  constructor(parts: Parts) {
    const { card, made, text, opened, options } = parts;
    this.card = card;
    this.dims = made.dims;
    this.#parts = parts;
    this.#text = text;
    const { tokenizer } = this.#text;
    const unknown = tokenizer.idOf("[UNK]");
    const ids = card.skip
      .map((word) => tokenizer.idOf(word))
      .filter((id) => id !== undefined && id !== unknown);
    this.#skipped = new Set(ids as number[]);
    this.#mask = tokenizer.idOf("[MASK]") ?? tokenizer.idOf("<mask>");
    if (card.expand && this.#mask === undefined) {
      throw new TenonError("TOKENIZER_UNSUPPORTED", {
        problem: "queries are filled up with a token that the tokenizer does not have",
        given: "no [MASK] or <mask>",
        do: "{ queryLength: 0 } leaves queries as they are",
      });
    }
    this.#runner = textRunner(opened, {
      config: card.config,
      text,
      inputs: made.inputs,
      poolingMask: false,
      rows: idRows(made.model),
      output: TOKEN_VECTORS,
      limits: options,
    });
  }

  get tokenizer(): TextEncoder["tokenizer"] {
    return this.#text.tokenizer;
  }

  /** A query's vectors, one a token; of the tokens that fill it up too. */
  async query(text: string, options: ScoreOptions = {}): Promise<EmbedMatrix<Float32Array>> {
    checkTexts([text]);
    const { card } = this;
    const tokens = this.#tokens(text, card.markers.query, card.queryLength);
    const filled = card.expand ? this.#filled(tokens) : tokens;
    const [matrix] = await this.#vectors([text], [filled], 0, () => true, options);
    return matrix!;
  }

  /** Each document's vectors, one a token that is not left out. */
  async documents(
    texts: readonly string[],
    options: ScoreOptions = {},
  ): Promise<EmbedMatrix<Float32Array>[]> {
    checkTexts(texts);
    const { card } = this;
    const tokens = await inSlices(texts, (text) =>
      this.#tokens(text, card.markers.document, card.documentLength),
    );
    const lengths = tokens.map(({ ids }) => ids.length);
    const all: EmbedMatrix<Float32Array>[] = [];
    for (let from = 0; from < texts.length; from = all.length) {
      const to = groupEnd(lengths, from, (length) => length * this.dims);
      const isKept = (id: number): boolean => !this.#skipped.has(id);
      all.push(
        ...(await this.#vectors(texts.slice(from, to), tokens.slice(from, to), from, isKept, options)),
      );
    }
    return all;
  }

  /** How well documents answer a query: for each of its tokens the best product with one of theirs, added up. */
  async scores(
    query: EmbedMatrix<Float32Array>,
    documents: readonly EmbedMatrix<Float32Array>[],
  ): Promise<Float32Array> {
    const scores = new Float32Array(documents.length);
    // Documents of like length together; a document without a token of its own answers nothing.
    const order = [...documents.keys()]
      .filter((at) => documents[at]!.rows > 0)
      .sort((a, b) => documents[a]!.rows - documents[b]!.rows);
    const lengths = order.map((at) => documents[at]!.rows);
    // Beside a document's vectors there are its products with the query's.
    const numbersOf = (rows: number): number => rows * (this.dims + query.rows);
    for (let from = 0; from < order.length; ) {
      const to = groupEnd(lengths, from, numbersOf);
      await this.#score(query, documents, order.slice(from, to), scores);
      from = to;
    }
    return scores;
  }

  /** Documents by how well they answer a query, best first, equal ones in their order. */
  async rank(
    query: string,
    texts: readonly string[],
    options: ScoreOptions & { readonly topK?: number } = {},
  ): Promise<RankHit[]> {
    const { topK = texts.length } = options;
    if (!Number.isInteger(topK) || topK < 0)
      throw new TenonError("USAGE", { problem: "topK", given: String(topK), expected: "a whole number" });
    const asked = await this.query(query, options);
    const scores = await this.scores(asked, await this.documents(texts, options));
    return texts
      .map((text, index): RankHit => ({ index, score: scores[index]!, text }))
      .sort((a, b) => b.score - a.score || a.index - b.index)
      .slice(0, topK);
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
    const { opened, maxSim } = this.#parts;
    const { name } = opened.model();
    await this.#runner.close(new TenonError("ENGINE_CLOSED", { problem: `model "${name}" was closed` }));
    await maxSim.unload();
    await opened.release();
  }

  /** With the marker behind the first special token, or in front of the text where it is no token. */
  #tokens(text: string, marker: string, most: number): Tokens {
    const { tokenizer } = this.#text;
    const id = marker === "" ? undefined : (tokenizer.idOf(marker) ?? tokenizer.idOf(marker.trim()));
    const lower = this.card.lowerCase ? text.toLowerCase() : text;
    const encoding = tokenizer.encode(id === undefined ? marker + lower : lower, {
      maxTokens: id === undefined ? most : most - 1,
    });
    const { ids, typeIds, truncated } = encoding;
    if (id === undefined) return { ids, typeIds, unpooled: 0, truncated };
    const marked = new Int32Array(ids.length + 1);
    const at = Math.min(1, ids.length);
    marked.set(ids.subarray(0, at));
    marked[at] = id;
    marked.set(ids.subarray(at), at + 1);
    return { ids: marked, typeIds: new Uint8Array(marked.length), unpooled: 0, truncated };
  }

  #filled(tokens: Tokens): Tokens {
    const { queryLength, attend } = this.card;
    if (tokens.ids.length >= queryLength) return tokens;
    const ids = new Int32Array(queryLength).fill(this.#mask!);
    ids.set(tokens.ids);
    const attended = attend ? queryLength : tokens.ids.length;
    return { ids, typeIds: new Uint8Array(queryLength), unpooled: 0, truncated: false, attended };
  }

  /** `first` is the number of the first text among all of the call. */
  async #vectors(
    texts: readonly string[],
    tokens: readonly Tokens[],
    first: number,
    isKept: (id: number) => boolean,
    options: ScoreOptions,
  ): Promise<EmbedMatrix<Float32Array>[]> {
    const { dims } = this;
    const longest = tokens.reduce((most, { ids }) => Math.max(most, ids.length), 1);
    const width = longest * dims;
    const data = new Float32Array(tokens.length * width);
    // Rows of a batch are as long as its longest text, and begin with the text's own tokens.
    await this.#runner.collect(
      {
        data,
        width,
        count: tokens.length,
        tokensOf: (row) => this.#runner.checked(tokens[row]!, `text ${first + row}`),
        keyOf: (row) => texts[row]!,
      },
      options,
    );
    return await inSlices(tokens, ({ ids, truncated }, row) => {
      const places = Array.from(ids.keys()).filter((at) => isKept(ids[at]!));
      const kept = new Float32Array(places.length * dims);
      places.forEach((place, i) => {
        const at = row * width + place * dims;
        kept.set(data.subarray(at, at + dims), i * dims);
      });
      return new EmbedMatrix(
        kept,
        places.length,
        dims,
        new Uint32Array(places.length).fill(1),
        truncated ? [0] : [],
      );
    });
  }

  async #score(
    query: EmbedMatrix<Float32Array>,
    documents: readonly EmbedMatrix<Float32Array>[],
    some: readonly number[],
    scores: Float32Array,
  ): Promise<void> {
    const { dims } = this;
    if (query.dims !== dims || some.some((at) => documents[at]!.dims !== dims)) {
      throw new TenonError("DIMS_MISMATCH", {
        problem: "vectors of another size than the model's",
        given: String(query.dims),
        expected: String(dims),
      });
    }
    const longest = Math.max(...some.map((at) => documents[at]!.rows));
    const data = new Float32Array(some.length * longest * dims);
    const mask = new Float32Array(some.length * longest);
    some.forEach((at, row) => {
      data.set(documents[at]!.data, row * longest * dims);
      mask.fill(1, row * longest, row * longest + documents[at]!.rows);
    });
    using outputs = await this.#parts.maxSim.run({
      query: query.tensor(),
      documents: tensorFromStorage("float32", [some.length, longest, dims], data) as Tensor,
      mask: tensorFromStorage("float32", [some.length, longest], mask) as Tensor,
    });
    const found = outputs.scores!.data as unknown as Float32Array;
    some.forEach((at, row) => {
      scores[at] = found[row]!;
    });
  }
}
