/** Embedder: texts to vectors with one model, in batches of like length on every core. */
import { parseBytes, TenonError } from "../base/index.js";
import type { OnnxModel } from "../onnx/index.js";
import { Engine, type Model, modelNameOf } from "../runtime/index.js";
import { type Accuracy, accuracyOf, SAMPLE_TEXTS } from "./accuracy.js";
import { type CardOptions, type ModelCard, readCard, type TruncateSide } from "./card/card.js";
import { type DenseGraph, denseGraph, QUANTS, type Quant } from "./graph/dense.js";
import { roomProbe, type WeightLimit, weightLimit } from "./graph/int8-row.js";
import { EMBEDDING, OUTPUT_TYPES, type OutputType } from "./graph/tail.js";
import { EmbedMatrix, type MatrixData } from "./matrix.js";
import { type PromptOptions, promptFor, type TextRole } from "./prompts.js";
import { type Int8Ranges, int8Matrix } from "./quantise.js";
import { paddingId } from "./schedule/encoder-run.js";
import { type StreamedVector, type StreamOptions, streamed } from "./schedule/stream.js";
import { headsOf, type Rows, TextRunner } from "./schedule/text-runner.js";
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
  /**
   * `int8-row`: the model's products in integers, which is faster and a little less exact; texts still have the same vector
   * alone and in company. Default `none`.
   */
  readonly quant?: Quant;
  /** Measure at the start what `quant` loses, and refuse with GOLDEN_MISMATCH if that is much. Default true. */
  readonly verify?: boolean;
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
  const engine =
    options.engine ??
    (await Engine.open({
      ...(options.lanes === undefined ? {} : { lanes: options.lanes }),
      ...(options.cache === undefined ? {} : { cache: options.cache }),
    }));
  const closeEngine = async (): Promise<void> => {
    if (options.engine === undefined) await engine.close();
  };
  try {
    const limit = options.quant === "int8-row" ? await weightLimitOf(engine) : 127;
    const prepared = await prepare(folder, options, limit);
    const model = await engine.load(prepared.graph.model, {
      name: options.name ?? modelNameOf(folder, undefined),
      batch: { max: 1 },
      calibrate: false,
    });
    const release = async (): Promise<void> => {
      await model.unload();
      await closeEngine();
    };
    const made = new Embedder({ prepared, engine, model: () => model, release });
    if (prepared.quant !== "none" && options.verify !== false)
      made.accuracy = await measured(folder, options, engine);
    return made;
  } catch (error) {
    await closeEngine();
    throw error;
  }
}

/** What products of small integers this machine gets right. */
async function weightLimitOf(engine: Engine): Promise<WeightLimit> {
  await using probe = await engine.load(roomProbe(), {
    name: `room-probe-${++probes}`,
    batch: { max: 1 },
    calibrate: false,
  });
  return await weightLimit(async (x) => (await probe.run({ x })).y!);
}

let probes = 0;

/** The model as it is beside the quantised one, on the same texts. */
async function measured(folder: string, options: EmbedderOptions, engine: Engine): Promise<Accuracy> {
  const { dims: _dims, lanes: _lanes, cache: _cache, ...rest } = options;
  const vectors = async (quant: Quant): Promise<EmbedMatrix> => {
    const name = `${options.name ?? modelNameOf(folder, undefined)}.${quant}`;
    await using model = await embedder(folder, {
      ...rest,
      engine,
      name,
      quant,
      output: "float32",
      verify: false,
    });
    return await model.embed(SAMPLE_TEXTS);
  };
  return accuracyOf(await vectors("none"), await vectors("int8-row"));
}

/** A folder that was read, and whose graph is not loaded yet. */
export interface PreparedEmbedder {
  readonly graph: OnnxModel;
  /** An embedder on the graph as an engine has loaded it; `model` may give another model after a reload. */
  attach(engine: Engine, model: () => Model): Embedder;
}

/** Reads a folder for an engine that loads the graph itself, under a name of its own. Throws as `embedder`. */
export async function prepareEmbedder(
  folder: string,
  options: Omit<EmbedderOptions, "engine" | "lanes" | "cache" | "name"> & {
    readonly tokenOutputs?: boolean;
  } = {},
): Promise<PreparedEmbedder> {
  // Loaded by whoever it is: a limit that holds on every processor.
  const prepared = await prepare(folder, options, 63);
  return {
    graph: prepared.graph.model,
    attach: (engine, model) => new Embedder({ prepared, engine, model, release: async () => undefined }),
  };
}

interface Prepared {
  readonly card: ModelCard;
  readonly text: TextEncoder;
  readonly graph: DenseGraph;
  readonly output: OutputType;
  readonly quant: Quant;
  readonly ranges: Int8Ranges | undefined;
  readonly memory: number;
  readonly budget: number;
}

async function prepare(
  folder: string,
  options: EmbedderOptions & { readonly tokenOutputs?: boolean },
  weightLimit: WeightLimit,
): Promise<Prepared> {
  const output = options.output ?? "float32";
  if (!OUTPUT_TYPES.includes(output)) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "output",
      given: String(output),
      expected: OUTPUT_TYPES.join(", "),
    });
  }
  const { memory = "1GiB", budget = DEFAULT_BUDGET, quant = "none" } = options;
  if (!QUANTS.includes(quant)) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "quant",
      given: String(quant),
      expected: QUANTS.join(", "),
    });
  }
  if (!Number.isInteger(budget) || budget < 1) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "budget",
      given: String(budget),
      expected: "1 or more",
    });
  }
  const card = readCard(folder, options);
  const text = new TextEncoder(card, options.truncate ?? "right");
  const graph = await denseGraph(card, {
    dims: options.dims,
    output,
    quant,
    weightLimit,
    tokenOutputs: options.tokenOutputs ?? false,
  });
  return {
    card,
    text,
    graph,
    output,
    quant,
    ranges: options.ranges,
    memory: typeof memory === "number" ? memory : parseBytes(memory),
    budget,
  };
}

interface EmbedderParts {
  readonly prepared: Prepared;
  readonly engine: Engine;
  readonly model: () => Model;
  release(): Promise<void>;
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
  readonly quant: Quant;
  /** What `quant` loses, where it was measured. */
  readonly accuracy: Accuracy | undefined;
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
  /** What quantisation loses, where it was measured. */
  accuracy: Accuracy | undefined;
  readonly #parts: EmbedderParts;
  readonly #runner: TextRunner;
  #closing: Promise<void> | undefined;

  constructor(parts: EmbedderParts) {
    const { card, graph, text, memory, budget } = parts.prepared;
    this.card = card;
    this.dims = graph.dims;
    this.#parts = parts;
    this.#runner = new TextRunner({
      model: parts.model,
      output: EMBEDDING,
      inputs: graph.inputs,
      poolingMask: graph.poolingMask,
      padId: paddingId(card.config, (token) => text.tokenizer.idOf(token)),
      lanes: parts.engine.capacity.lanes,
      heads: headsOf(card.config),
      memory,
      budget,
    });
  }

  /** The name of the model in its engine. */
  get name(): string {
    return this.#parts.model().name;
  }

  get tokenizer(): TextEncoder["tokenizer"] {
    return this.#parts.prepared.text.tokenizer;
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
    return this.#collect(lists.length, options, {
      tokensOf: (row) => {
        const name = `token list ${row}`;
        return this.#runner.checked(
          this.#parts.prepared.text.fromIds(lists[row]!, name, options.truncate),
          name,
        );
      },
    });
  }

  /** The vectors of a text's tokens, special ones included; of a graph that was prepared with them. */
  async tokenVectors(text: string, options: EmbedOptions = {}): Promise<EmbedMatrix<Float32Array>> {
    const { hidden } = this.#parts.prepared.graph;
    if (hidden === undefined) {
      throw new TenonError("USAGE", { problem: "the embedder was opened without vectors of tokens" });
    }
    const prompt = promptFor(this.card, "any", options);
    const tokens = this.#tokens(text, prompt, "the text", options.truncate);
    const data = await this.#runner.single(tokens, hidden);
    const rows = tokens.ids.length;
    return new EmbedMatrix(data, rows, data.length / rows, new Uint32Array(rows).fill(1), []);
  }

  /** The text that these options put in front. Throws USAGE for a name that the model does not have. */
  prompt(options: PromptOptions): string {
    return promptFor(this.card, "any", options);
  }

  /** Tokens of a text, special ones included, not cut. */
  tokens(text: string): number {
    return this.tokenizer.count(text);
  }

  /** What the model says of itself and where, and what was measured so far. */
  explain(): Explanation {
    const { card, graph, output, quant } = this.#parts.prepared;
    const { batches, texts, tokens, padded, busyMs } = this.#runner.counts;
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
      quant,
      accuracy: this.accuracy,
      lanes: this.#runner.lanes,
      budget: this.#runner.budget,
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
      tokens: (text, name) => this.#tokens(text, prompt, name, options.truncate),
      submit: (window) => this.#runner.submit(window),
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
    await this.#runner.close(
      new TenonError("ENGINE_CLOSED", { problem: `the embedder of "${this.name}" was closed` }),
    );
    await this.#parts.release();
  }

  #tokens(text: string, prompt: string, name: string, truncate: TruncateSide | undefined): Tokens {
    return this.#runner.checked(this.#parts.prepared.text.encode(text, prompt, name, truncate), name);
  }

  async #matrix(texts: readonly string[], role: TextRole, options: EmbedOptions): Promise<EmbedMatrix> {
    checkTexts(texts);
    const prompt = promptFor(this.card, role, options);
    return this.#collect(texts.length, options, {
      tokensOf: (row) => this.#tokens(texts[row]!, prompt, `text ${row}`, options.truncate),
      keyOf: (row) => texts[row]!,
    });
  }

  async #collect(
    count: number,
    options: EmbedOptions,
    source: Pick<Rows, "tokensOf" | "keyOf">,
  ): Promise<EmbedMatrix> {
    const { output, ranges } = this.#parts.prepared;
    const width = output === "binary" || output === "ubinary" ? Math.ceil(this.dims / 8) : this.dims;
    const data = emptyData(output, count * width);
    const { tokens, truncated } = await this.#runner.collect({ data, width, count, ...source }, options);
    const vectors = output === "int8" ? int8Matrix(data as Float32Array, count, width, ranges) : data;
    return new EmbedMatrix(vectors, count, width, tokens, truncated);
  }
}

function emptyData(output: OutputType, length: number): MatrixData {
  if (output === "float16") return new Uint16Array(length);
  if (output === "binary") return new Int8Array(length);
  if (output === "ubinary") return new Uint8Array(length);
  return new Float32Array(length);
}
