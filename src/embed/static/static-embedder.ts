/** StaticEmbedder: an embedder without a runtime, whose vectors are means of its tokens' vectors. */
import { TenonError } from "../../base/index.js";
import type { Accuracy } from "../accuracy.js";
import type { CardOptions, ModelCard, TruncateSide } from "../card/card.js";
import type { GoldenCheck } from "../golden.js";
import { checkOutput, type OutputType } from "../graph/names.js";
import { EmbedMatrix, type MatrixData } from "../matrix.js";
import { type PromptOptions, promptFor, type TextRole } from "../prompts.js";
import type { Int8Ranges } from "../quantise.js";
import { Slices } from "../schedule/slices.js";
import type { StreamedVector, StreamOptions } from "../schedule/stream.js";
import { spend, type Timed } from "../schedule/text-times.js";
import { checkTexts } from "../text.js";
import type { Tokenizer } from "../tokenizers/tokenizer.js";
import { packed } from "./pack.js";
import { readStatic, type StaticModel } from "./static-model.js";

/** The options of `embedder` that a static model has a use for. */
export interface StaticOptions extends CardOptions {
  readonly dims?: number;
  readonly output?: OutputType;
  readonly ranges?: Int8Ranges;
  readonly truncate?: TruncateSide;
  readonly name?: string;
  /** Refused unless `none`. */
  readonly quant?: string;
}

interface CallOptions extends PromptOptions, Timed {
  readonly signal?: AbortSignal;
  readonly truncate?: TruncateSide;
  readonly onProgress?: (done: number) => void;
}

/** Opens a folder. Throws as `readStatic`, and DIMS_MISMATCH. */
export async function staticEmbedder(
  folder: string,
  name: string,
  options: StaticOptions = {},
): Promise<StaticEmbedder> {
  if (options.quant !== undefined && options.quant !== "none") {
    throw new TenonError("CONFIG_INVALID", {
      problem: "quant",
      given: options.quant,
      expected: '"none": a static model multiplies no matrices',
    });
  }
  return new StaticEmbedder(await readStatic(folder, options), name, options);
}

export class StaticEmbedder {
  readonly card: ModelCard;
  readonly dims: number;
  readonly name: string;
  accuracy: Accuracy | undefined;
  golden: GoldenCheck | undefined;
  readonly #model: StaticModel;
  readonly #options: StaticOptions;
  readonly #sums: Float64Array;
  readonly #counts = { texts: 0, tokens: 0, busyMs: 0 };
  #closed = false;

  constructor(model: StaticModel, name: string, options: StaticOptions) {
    const { dims = model.dims, output = "float32" } = options;
    checkOutput(output);
    if (!Number.isInteger(dims) || dims < 1 || dims > model.dims) {
      throw new TenonError("DIMS_MISMATCH", {
        problem: "the model's vectors cannot be cut to this size",
        given: String(dims),
        expected: `a whole number from 1 to ${model.dims}`,
      });
    }
    this.card = model.card;
    this.dims = dims;
    this.name = name;
    this.#model = model;
    this.#options = options;
    this.#sums = new Float64Array(dims);
  }

  get tokenizer(): Tokenizer {
    return this.#model.tokenizer;
  }

  async query(text: string, options: CallOptions = {}): Promise<MatrixData> {
    return (await this.#matrix([text], "query", options)).data;
  }

  passages(texts: readonly string[], options: CallOptions = {}): Promise<EmbedMatrix> {
    return this.#matrix(texts, "passage", options);
  }

  embed(texts: readonly string[], options: CallOptions = {}): Promise<EmbedMatrix> {
    return this.#matrix(texts, "any", options);
  }

  async embedIds(lists: readonly (readonly number[])[], options: CallOptions = {}): Promise<EmbedMatrix> {
    const { vocabularySize } = this.tokenizer;
    const most = this.card.maxTokens.value;
    const side = options.truncate ?? this.#options.truncate ?? "right";
    return this.#collect(lists.length, options, (row) => {
      const ids = Array.isArray(lists[row]) ? lists[row]! : [];
      const wrong = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= vocabularySize);
      if (wrong !== undefined || ids.length === 0) {
        throw new TenonError("INPUT_VALUE", {
          problem: `token list ${row} is no list of token ids`,
          given: wrong === undefined ? "no id" : String(wrong),
          expected: `whole numbers from 0 to ${vocabularySize - 1}`,
        });
      }
      if (ids.length > most && side === "error") throw tooLong(`token list ${row}`, ids.length, most);
      const kept = side === "left" && ids.length > most ? ids.slice(ids.length - most) : ids.slice(0, most);
      return { ids: Int32Array.from(kept), truncated: ids.length > most };
    });
  }

  async tokenVectors(text: string, options: CallOptions = {}): Promise<EmbedMatrix<Float32Array>> {
    checkTexts([text]);
    const { table, dims: size, mapping, weights, unknown } = this.#model;
    const { times } = options;
    const start = performance.now();
    const all = this.#tokens(promptFor(this.card, "any", options) + text, "the text", options.truncate).ids;
    const ready = performance.now();
    const ids = all.filter((id) => id !== unknown);
    const { dims } = this;
    const data = new Float32Array(ids.length * dims);
    ids.forEach((id, row) => {
      const at = (mapping?.[id] ?? id) * size;
      const weight = weights?.[id] ?? 1;
      for (let j = 0; j < dims; j++) data[row * dims + j] = table[at + j]! * weight;
    });
    if (times !== undefined) times.texts++;
    spend(times, "tokenizeMs", ready - start);
    spend(times, "runMs", performance.now() - ready);
    return new EmbedMatrix(data, ids.length, dims, new Uint32Array(ids.length).fill(1), []);
  }

  /** A text's tokens, cut as the model says; `name` tells it in errors. Throws TEXT_TOO_LONG. */
  encode(text: string, name: string): { readonly ids: Int32Array; readonly truncated: boolean } {
    return this.#tokens(text, name, undefined);
  }

  prompt(options: PromptOptions): string {
    return promptFor(this.card, "any", options);
  }

  tokens(text: string): number {
    return this.tokenizer.encode(text, { addSpecialTokens: false }).ids.length;
  }

  explain() {
    const { card } = this;
    const { texts, tokens, busyMs } = this.#counts;
    return {
      pooling: card.pooling,
      includePrompt: true,
      dense: [],
      normalize: card.normalize,
      prompts: card.prompts,
      defaultPrompt: card.defaultPrompt,
      similarity: card.similarity,
      maxTokens: card.maxTokens,
      graph: this.#model.from,
      dims: this.dims,
      output: this.#options.output ?? "float32",
      quant: "none" as const,
      accuracy: undefined,
      golden: this.golden,
      batchVariance: undefined,
      lanes: 1,
      budget: card.maxTokens.value,
      batches: texts,
      texts,
      tokens,
      padding: 0,
      tokensPerSecond: busyMs === 0 ? 0 : (1000 * tokens) / busyMs,
    };
  }

  async *stream<S>(
    source: Iterable<S> | AsyncIterable<S>,
    options: StreamOptions<S> = {},
  ): AsyncGenerator<StreamedVector<S>, void, undefined> {
    const textOf = options.text ?? ((item: S) => item as unknown as string); // checked where it is embedded
    const prompt = promptFor(this.card, "any", options);
    let index = 0;
    for await (const item of source) {
      this.#check(options.signal);
      const text = textOf(item);
      checkTexts([text], index);
      const { data } = await this.#collect(1, options, () =>
        this.#tokens(prompt + text, `text ${index}`, options.truncate),
      );
      yield { item, vector: data, index: index++ };
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ── inside ───────────────────────────────────────────────────────────────────────────────────

  async #matrix(texts: readonly string[], role: TextRole, options: CallOptions): Promise<EmbedMatrix> {
    checkTexts(texts);
    const prompt = promptFor(this.card, role, options);
    return this.#collect(texts.length, options, (row) =>
      this.#tokens(prompt + texts[row]!, `text ${row}`, options.truncate),
    );
  }

  async #collect(
    rows: number,
    options: CallOptions,
    tokensOf: (row: number) => { readonly ids: Int32Array; readonly truncated: boolean },
  ): Promise<EmbedMatrix> {
    this.#check(options.signal);
    const { dims } = this;
    const { times } = options;
    const data = new Float32Array(rows * dims);
    const lengths = new Uint32Array(rows);
    const truncated: number[] = [];
    const turn = new Slices();
    let start = performance.now();
    for (let row = 0; row < rows; row++) {
      const before = performance.now();
      const tokens = tokensOf(row);
      const ready = performance.now();
      lengths[row] = tokens.ids.length;
      if (tokens.truncated) truncated.push(row);
      this.#mean(tokens.ids, data.subarray(row * dims, (row + 1) * dims));
      if (times !== undefined) times.texts++;
      spend(times, "tokenizeMs", ready - before);
      spend(times, "runMs", performance.now() - ready);
      this.#counts.texts++;
      this.#counts.tokens += tokens.ids.length;
      if (!turn.due()) continue;
      this.#counts.busyMs += performance.now() - start;
      options.onProgress?.(row + 1);
      await turn.next();
      this.#check(options.signal);
      start = performance.now();
    }
    this.#counts.busyMs += performance.now() - start;
    options.onProgress?.(rows);
    const { output = "float32", ranges } = this.#options;
    const vectors = packed(data, rows, dims, output, ranges);
    const width = output === "binary" || output === "ubinary" ? Math.ceil(dims / 8) : dims;
    return new EmbedMatrix(vectors, rows, width, lengths, truncated);
  }

  #tokens(
    text: string,
    name: string,
    truncate: TruncateSide | undefined,
  ): { readonly ids: Int32Array; readonly truncated: boolean } {
    const { card, maxCharacters, tokenizer } = this.#model;
    const side = truncate ?? this.#options.truncate ?? this.#model.truncate;
    const looked = side === "error" ? text : cutCharacters(text, maxCharacters, side);
    const most = card.maxTokens.value;
    const encoding = tokenizer.encode(looked, {
      addSpecialTokens: false,
      maxTokens: most,
      truncate: side === "left" ? "left" : "right",
    });
    if (side === "error" && encoding.truncated) throw tooLong(name, this.tokens(text), most);
    return { ids: encoding.ids, truncated: encoding.truncated || looked.length < text.length };
  }

  #mean(ids: Int32Array, out: Float32Array): void {
    const { table, dims: size, mapping, weights, unknown } = this.#model;
    const sums = this.#sums.fill(0);
    const dims = sums.length;
    let count = 0;
    for (let i = 0; i < ids.length; i++) {
      const id = ids[i]!;
      if (id === unknown) continue;
      count++;
      const at = (mapping === undefined ? id : mapping[id]!) * size;
      const weight = weights === undefined ? 1 : weights[id]!;
      for (let j = 0; j < dims; j++) sums[j]! += table[at + j]! * weight;
    }
    if (count === 0) return;
    let scale = 1 / count;
    if (this.card.normalize.value) {
      let square = 0;
      for (let j = 0; j < dims; j++) square += sums[j]! * sums[j]!;
      scale = square === 0 ? 0 : 1 / Math.sqrt(square);
    }
    for (let j = 0; j < dims; j++) out[j] = sums[j]! * scale;
  }

  #check(signal: AbortSignal | undefined): void {
    if (this.#closed)
      throw new TenonError("ENGINE_CLOSED", { problem: `the embedder of "${this.name}" was closed` });
    if (signal?.aborted === true) throw new TenonError("CANCELLED", { cause: signal.reason });
  }
}

function tooLong(name: string, tokens: number, most: number): TenonError {
  return new TenonError("TEXT_TOO_LONG", {
    problem: `${name} is longer than the model reads`,
    given: `${tokens} tokens`,
    expected: `at most ${most}`,
    do: 'cut it, or let it be cut: { truncate: "right" }',
  });
}

/** At most so many code points from the start or the end. */
function cutCharacters(text: string, most: number, side: "left" | "right"): string {
  if (text.length <= most) return text;
  if (side === "left") {
    let at = text.length;
    for (let count = 0; count < most && at > 0; count++)
      at -= (text.codePointAt(at - 2) ?? 0) > 0xffff ? 2 : 1;
    return text.slice(at);
  }
  let at = 0;
  for (let count = 0; count < most && at < text.length; count++) at += text.codePointAt(at)! > 0xffff ? 2 : 1;
  return text.slice(0, at);
}
