/** Embedder: texts to vectors with one model, in batches of like length on every core. */
import { parseBytes, TenonError } from "../base/index.js";
import { Engine, type Model, modelNameOf } from "../runtime/index.js";
import { type CardOptions, type ModelCard, readCard, type TruncateSide } from "./card/card.js";
import { type DenseGraph, denseGraph } from "./graph/dense.js";
import { EMBEDDING, OUTPUT_TYPES, type OutputType } from "./graph/tail.js";
import { EmbedMatrix, type MatrixData } from "./matrix.js";
import { type PromptOptions, promptFor, type TextRole } from "./prompts.js";
import { type Int8Ranges, int8Matrix } from "./quantise.js";
import { assertFits, EncoderRun, paddingId } from "./schedule/encoder-run.js";
import { Pending } from "./schedule/pending.js";
import { EmbedQueue } from "./schedule/queue.js";
import { Slices } from "./schedule/slices.js";
import { type StreamedVector, type StreamOptions, streamed } from "./schedule/stream.js";
import { type Waiting, WINDOW_TEXTS, Window } from "./schedule/window.js";
import { checkTexts, TextEncoder, type Tokens } from "./text.js";

export interface EmbedderOptions extends CardOptions {
  /** Vectors are cut to so many numbers, and get length 1 again where the model normalises. Default: all. */
  readonly dims?: number;
  /**
   * Default `float32`. `int8` spreads each dimension from its least to its largest value over -128 to 127: of `ranges`,
   * else of the vectors of one call.
   */
  readonly output?: OutputType;
  /** Least and largest value of each dimension, for `int8`. */
  readonly ranges?: Int8Ranges;
  /** Runs at the same time, one thread each. Default: one per core. Not with `engine`. */
  readonly lanes?: number | "auto";
  /** What one batch may take beside the weights, `"1GiB"` or bytes. Default 1 GiB. */
  readonly memory?: string | number;
  /** Texts that are longer than the model reads: cut at this side (default `right`), or refused. */
  readonly truncate?: TruncateSide;
  /** Most tokens of a batch. Default 256. */
  readonly budget?: number;
  /** An engine to run on, which stays open. Default: one of its own. */
  readonly engine?: Engine;
  /** The model's name in the engine. Default: the folder's. */
  readonly name?: string;
  /** Folder of compiled models, or false; as the engine's. Not with `engine`. */
  readonly cache?: string | false;
}

export interface EmbedOptions extends PromptOptions {
  readonly signal?: AbortSignal;
  /** For texts of this call. */
  readonly truncate?: TruncateSide;
  /** Called as vectors are ready. */
  readonly onProgress?: (done: number) => void;
}

const DEFAULT_BUDGET = 256;
/** Calls of at most so many texts go ahead of longer ones. */
const SHORT_CALL = 16;

/**
 * Opens a model's folder, as sentence-transformers and Hugging Face write it. Throws MODEL_INCOMPLETE, UNKNOWN_POOLING,
 * DIMS_MISMATCH, TOKENIZER_UNSUPPORTED, MODEL_UNSUPPORTED, FILE_INVALID.
 *
 * ```ts
 * await using model = await embedder("./all-MiniLM-L6-v2");
 * const { data, dims } = await model.passages(["A text.", "Another one."]);
 * ```
 */
export async function embedder(folder: string, options: EmbedderOptions = {}): Promise<Embedder> {
  const output = options.output ?? "float32";
  if (!OUTPUT_TYPES.includes(output)) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "output",
      given: String(output),
      expected: OUTPUT_TYPES.join(", "),
    });
  }
  const card = readCard(folder, options);
  const text = new TextEncoder(card, options.truncate ?? "right");
  const graph = await denseGraph(card, { dims: options.dims, output });
  const engine =
    options.engine ??
    (await Engine.open({
      ...(options.lanes === undefined ? {} : { lanes: options.lanes }),
      ...(options.cache === undefined ? {} : { cache: options.cache }),
    }));
  try {
    const model = await engine.load(graph.model, {
      name: options.name ?? modelNameOf(folder, undefined),
      batch: { max: 1 },
      calibrate: false,
    });
    return new Embedder({ card, text, graph, model, engine, output, options });
  } catch (error) {
    if (options.engine === undefined) await engine.close();
    throw error;
  }
}

interface EmbedderParts {
  readonly card: ModelCard;
  readonly text: TextEncoder;
  readonly graph: DenseGraph;
  readonly model: Model;
  readonly engine: Engine;
  readonly output: OutputType;
  readonly options: EmbedderOptions;
}

/** What an embedder tells of itself. */
export interface Explanation {
  readonly pooling: { readonly value: readonly string[]; readonly from: string };
  readonly includePrompt: boolean;
  readonly dense: readonly { readonly value: string; readonly from: string }[];
  readonly normalize: { readonly value: boolean; readonly from: string };
  readonly prompts: { readonly value: Readonly<Record<string, string>>; readonly from: string };
  readonly defaultPrompt: string | undefined;
  readonly similarity: { readonly value: string; readonly from: string };
  readonly maxTokens: { readonly value: number; readonly from: string };
  readonly graph: string;
  readonly dims: number;
  readonly output: OutputType;
  readonly lanes: number;
  /** Tokens of a batch. */
  readonly budget: number;
  readonly batches: number;
  readonly texts: number;
  readonly tokens: number;
  /** Share of the tokens that ran and were padding. */
  readonly padding: number;
  /** Tokens per second and lane while runs were under way. */
  readonly tokensPerSecond: number;
}

export class Embedder {
  readonly card: ModelCard;
  /** Numbers of a vector, before bits are packed. */
  readonly dims: number;
  readonly #parts: EmbedderParts;
  readonly #run: EncoderRun;
  readonly #queue: EmbedQueue<Waiting>;
  readonly #heads: number;
  readonly #memory: number;
  readonly #budget: number;
  #closing: Promise<void> | undefined;

  constructor(parts: EmbedderParts) {
    const { card, graph, text, options } = parts;
    this.card = card;
    this.dims = graph.dims;
    this.#parts = parts;
    this.#run = new EncoderRun(parts.model, {
      inputs: graph.inputs,
      poolingMask: graph.poolingMask,
      padId: paddingId(card.config, (token) => text.tokenizer.idOf(token)),
    });
    const heads = card.config.num_attention_heads ?? card.config.n_heads;
    this.#heads = typeof heads === "number" ? heads : 12;
    this.#memory = typeof options.memory === "number" ? options.memory : parseBytes(options.memory ?? "1GiB");
    this.#budget = options.budget ?? DEFAULT_BUDGET;
    this.#queue = new EmbedQueue<Waiting>(
      { budget: this.#budget, maxRows: this.#budget, lanes: parts.engine.capacity.lanes },
      (items, bulk) => this.#embed(items, bulk),
    );
  }

  /** The name of the model in its engine. */
  get name(): string {
    return this.#parts.model.name;
  }

  get tokenizer(): TextEncoder["tokenizer"] {
    return this.#parts.text.tokenizer;
  }

  /** The vector of a question, with the model's prompt for such. */
  async query(text: string, options: EmbedOptions = {}): Promise<MatrixData> {
    const matrix = await this.#matrix([text], "query", options);
    return matrix.data;
  }

  /** The vectors of documents, with the model's prompt for such. */
  passages(texts: readonly string[], options: EmbedOptions = {}): Promise<EmbedMatrix> {
    return this.#matrix(texts, "passage", options);
  }

  /**
   * One vector a text, in their order; texts that are the same are embedded once. Rejects with USAGE for what is no text,
   * TEXT_TOO_LONG, CANCELLED, ENGINE_CLOSED.
   */
  embed(texts: readonly string[], options: EmbedOptions = {}): Promise<EmbedMatrix> {
    return this.#matrix(texts, "any", options);
  }

  /** The same for tokens that the caller made: ids without special ones. */
  async embedIds(lists: readonly (readonly number[])[], options: EmbedOptions = {}): Promise<EmbedMatrix> {
    return this.#collect(lists.length, options, (index) =>
      this.#parts.text.fromIds(lists[index]!, `token list ${index}`),
    );
  }

  /** Tokens of a text, special ones included, not cut. */
  tokens(text: string): number {
    return this.tokenizer.count(text);
  }

  /** What the model says of itself and where, and what was measured so far. */
  explain(): Explanation {
    const { card, graph, engine, output } = this.#parts;
    const { batches, texts, tokens, padded, busyMs } = this.#run.counts;
    return {
      pooling: card.pooling,
      includePrompt: card.includePrompt,
      dense: card.dense.map(({ inFeatures, outFeatures, activation, from }) => ({
        value: `${inFeatures} to ${outFeatures}, ${activation}`,
        from,
      })),
      normalize: card.normalize,
      prompts: card.prompts,
      defaultPrompt: card.defaultPrompt,
      similarity: card.similarity,
      maxTokens: card.maxTokens,
      graph: graph.from,
      dims: this.dims,
      output,
      lanes: engine.capacity.lanes,
      budget: this.#budget,
      batches,
      texts,
      tokens,
      padding: padded === 0 ? 0 : 1 - tokens / padded,
      tokensPerSecond: busyMs === 0 ? 0 : (1000 * tokens) / busyMs,
    };
  }

  /**
   * Vectors of a source of any length, a bounded number under way: the source is asked for more only as vectors are
   * taken. Ends and gives everything back when the loop is left.
   */
  stream<S>(
    source: Iterable<S> | AsyncIterable<S>,
    options: StreamOptions<S> = {},
  ): AsyncGenerator<StreamedVector<S>, void, undefined> {
    const prompt = promptFor(this.card, "any", options);
    return streamed(source, options, {
      tokens: (text, name) => this.#tokens(text, prompt, name, options),
      submit: (window) => this.#queue.bulk(window),
    });
  }

  /** Lets runs under way end and frees the model; the engine too, unless it was given. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ── inside ───────────────────────────────────────────────────────────────────────────────────

  async #close(): Promise<void> {
    const closed = new TenonError("ENGINE_CLOSED", { problem: `model "${this.name}" was closed` });
    for (const { job } of this.#queue.drain()) if (!job.over) job.fail(closed);
    await this.#queue.idle();
    await this.#parts.model.unload();
    if (this.#parts.options.engine === undefined) await this.#parts.engine.close();
  }

  #tokens(text: string, prompt: string, name: string, options: { readonly truncate?: TruncateSide }): Tokens {
    const tokens = this.#parts.text.encode(text, prompt, name, options.truncate);
    assertFits(tokens.ids.length, this.#heads, this.#memory, name);
    return tokens;
  }

  async #matrix(texts: readonly string[], role: TextRole, options: EmbedOptions): Promise<EmbedMatrix> {
    checkTexts(texts);
    const prompt = promptFor(this.card, role, options);
    return this.#collect(
      texts.length,
      options,
      (index) => this.#tokens(texts[index]!, prompt, `text ${index}`, options),
      (index) => texts[index]!,
    );
  }

  /** `keyOf`: rows of the same key have the same vector, which is computed once in a window. */
  async #collect(
    rows: number,
    options: EmbedOptions,
    tokensOf: (index: number) => Tokens,
    keyOf?: (index: number) => string,
  ): Promise<EmbedMatrix> {
    if (this.#closing !== undefined)
      throw new TenonError("ENGINE_CLOSED", { problem: `model "${this.name}" was closed` });
    const job = new Pending(options.signal);
    const turn = new Slices();
    const counts = new Uint32Array(rows);
    const truncated: number[] = [];
    const width = this.#width();
    let data: MatrixData = emptyData(this.#parts.output, rows * width);
    let outstanding = 0;
    let done = 0;
    let window = new Window();
    let targets = new Map<string, { readonly rows: number[]; readonly tokens: Tokens }>();
    const short = rows <= SHORT_CALL;
    const flush = (): void => {
      outstanding += window.items.length;
      if (short) this.#queue.soon(window.items);
      else this.#queue.bulk(window.items);
      window = new Window();
      targets = new Map();
    };
    const add = (index: number): void => {
      const key = keyOf?.(index);
      const same = key === undefined ? undefined : targets.get(key);
      const tokens = same?.tokens ?? tokensOf(index);
      counts[index] = tokens.ids.length;
      if (tokens.truncated) truncated.push(index);
      if (same !== undefined) {
        same.rows.push(index);
        return;
      }
      const into = [index];
      if (key !== undefined) targets.set(key, { rows: into, tokens });
      window.add({
        tokens,
        length: tokens.ids.length,
        job,
        deliver: (vector) => {
          for (const row of into) (data as Float32Array).set(vector as Float32Array, row * width); // of one kind
          outstanding--;
          done += into.length;
          options.onProgress?.(done);
          job.wake();
        },
      });
    };
    try {
      for (let index = 0; index < rows; index++) {
        add(index);
        if (window.full) {
          flush();
          while (outstanding > WINDOW_TEXTS) await job.change();
        }
        if (turn.due()) {
          await turn.next();
          job.check();
        }
      }
      flush();
      while (outstanding > 0) await job.change();
      job.check();
    } finally {
      job.finish();
    }
    if (this.#parts.output === "int8")
      data = int8Matrix(data as Float32Array, rows, width, this.#parts.options.ranges);
    return new EmbedMatrix(data, rows, width, counts, truncated);
  }

  /** Elements of a row. */
  #width(): number {
    const { output } = this.#parts;
    return output === "binary" || output === "ubinary" ? Math.ceil(this.dims / 8) : this.dims;
  }

  async #embed(items: readonly Waiting[], bulk: boolean): Promise<void> {
    using outputs = await this.#run.run(
      items.map(({ tokens }) => tokens),
      bulk,
    );
    const vectors = outputs[EMBEDDING]!.data as unknown as MatrixData; // of the graph's output type
    const width = this.#width();
    items.forEach(({ job, deliver }, row) => {
      if (!job.over) deliver(vectors.subarray(row * width, (row + 1) * width));
    });
  }
}

function emptyData(output: OutputType, length: number): MatrixData {
  if (output === "float16") return new Uint16Array(length);
  if (output === "binary") return new Int8Array(length);
  if (output === "ubinary") return new Uint8Array(length);
  return new Float32Array(length);
}
