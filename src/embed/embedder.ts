/** Embedder: texts to vectors with one model, in batches of like length on every core. */
import { join } from "node:path";
import { TenonError } from "../base/index.js";
import type { OnnxModel } from "../onnx/index.js";
import { type Engine, type Model, modelNameOf } from "../runtime/index.js";
import { type Accuracy, accuracyOf, SAMPLE_TEXTS } from "./accuracy.js";
import { type CardOptions, type ModelCard, readCard, type TruncateSide } from "./card/card.js";
import { isFile } from "./card/files.js";
import { checkGolden, type GoldenCheck } from "./golden.js";

import type { WeightRoom } from "./graph/int8-row.js";

import {
  checkOutput,
  type DenseFacts,
  EMBEDDING,
  isDenseFacts,
  type OutputType,
  QUANTS,
  type Quant,
} from "./graph/names.js";
import { type DenseChoices, denseRecall } from "./graph/recall.js";
import { modelFolder } from "./hub/cache.js";
import { knownModel } from "./hub/known.js";
import type { GoldenVectors } from "./hub/known-facts.js";
import { goldenOf } from "./hub/known-folder.js";
import { EmbedMatrix, type MatrixData } from "./matrix.js";
import { cacheOf, type OpenedModel, type OpenOptions, onEngine, onModel } from "./opened.js";
import { type PromptOptions, promptFor, type TextRole } from "./prompts.js";
import { type Int8Ranges, int8Matrix } from "./quantise.js";
import { type StreamedVector, type StreamOptions, streamed } from "./schedule/stream.js";
import { type Rows, type RunnerLimits, type TextRunner, textRunner } from "./schedule/text-runner.js";
import { spend, type Timed } from "./schedule/text-times.js";
import { isStaticFolder } from "./static/static-folder.js";
import { checkTexts, TextEncoder, type Tokens } from "./text.js";

export interface EmbedderOptions extends CardOptions, OpenOptions, RunnerLimits {
  /** Vectors are cut to so many numbers, and get length 1 again where the model normalises. Default: all. */
  readonly dims?: number;
  /**
   * Default `float32`. `int8` spreads each dimension from its least to its largest value over -128 to 127: of `ranges`,
   * else of the vectors of one call.
   */
  readonly output?: OutputType;
  /** Least and largest value of each dimension, for `int8`. */
  readonly ranges?: Int8Ranges;
  /** Texts that are longer than the model reads: cut at this side (default `right`), or refused. */
  readonly truncate?: TruncateSide;
  /**
   * `int8-row`: the model's products in integers, which is faster and a little less exact; texts still have the same vector
   * alone and in company. Default `none`.
   */
  readonly quant?: Quant;
  /**
   * What is tried at the start, and refused with GOLDEN_MISMATCH. By default what `quant` loses; `false`: nothing. `true`: also
   * that vectors are those that the registry has of a known model, which is found by its name or its weights, and that a text
   * has the same vector alone and in company. Vectors of your own are compared with when they are given.
   */
  readonly verify?: boolean | GoldenVectors;
  /**
   * A graph that was quantised with one scale for all of a batch gives a text another vector in other company. `alone` (the
   * default) runs such a graph on one text at a time, `allow` in batches.
   */
  readonly batchVariance?: "alone" | "allow";
  /** Keep the vectors of tokens, for `tokenVectors` and `lateChunks`. Default false. */
  readonly tokenOutputs?: boolean;
}

export interface EmbedOptions extends PromptOptions, Timed {
  readonly signal?: AbortSignal;
  /** For texts of this call. */
  readonly truncate?: TruncateSide;
  /** Called as vectors are ready. */
  readonly onProgress?: (done: number) => void;
}

/**
 * Opens a model's folder, as sentence-transformers and Hugging Face write it. Throws MODEL_INCOMPLETE, UNKNOWN_POOLING,
 * DIMS_MISMATCH, TOKENIZER_UNSUPPORTED, MODEL_UNSUPPORTED, FILE_INVALID.
 *
 * ```ts
 * await using model = await embedder("./all-MiniLM-L6-v2");
 * const { data, dims } = await model.passages(["A text.", "Another one."]);
 * ```
 */
export async function embedder(given: string, wanted: EmbedderOptions = {}): Promise<Embedder> {
  const folder = modelFolder(given);
  const name = wanted.name ?? modelNameOf(given, undefined);
  const options = { ...withKnownPooling(given, folder, wanted), name };
  if (isStaticFolder(folder)) {
    const { staticEmbedder } = await import("./static/static-embedder.js");
    const made = await staticEmbedder(folder, name, options);
    made.golden = await goldenCheck(given, folder, options, undefined, made);
    return made;
  }
  return onEngine(
    folder,
    options,
    () => readTexts(folder, options),
    async (texts, _, engine, loadMade) => {
      const { card } = texts;
      const choices = choicesOf(options);
      const { opened, about } = await loadMade({
        recall: async () => denseRecall(card, choices),
        make: async () => {
          const { denseGraph } = await import("./graph/dense.js");
          const weightRoom = choices.quant === "int8-row" ? await weightRoomOf(engine) : "whole";
          const { model, ...facts } = await denseGraph(card, { ...choices, weightRoom });
          return { model, about: facts };
        },
        isAbout: isDenseFacts,
      });
      const prepared = preparedOf(texts, about, options);
      const made = new EncoderEmbedder(prepared, opened);
      try {
        if (prepared.quant !== "none" && options.verify !== false)
          made.accuracy = await measured(folder, options, engine, made);
        made.golden = await goldenCheck(given, folder, options, engine, made);
      } catch (error) {
        await made.close();
        throw error;
      }
      return made;
    },
  );
}

/** A folder that does not say how it pools, of a model whose authors say it elsewhere. */
function withKnownPooling(given: string, folder: string, options: EmbedderOptions): EmbedderOptions {
  const pooling = knownModel(given)?.pooling;
  const isSaid = ["modules.json", "1_Pooling/config.json"].some((name) => isFile(join(folder, name)));
  return pooling === undefined || options.pooling !== undefined || isSaid ? options : { ...options, pooling };
}

/** What products of small integers this machine gets right. */
async function weightRoomOf(engine: Engine): Promise<WeightRoom> {
  const { roomProbe, weightRoom } = await import("./graph/int8-row.js");
  await using probe = await engine.load(roomProbe(), {
    name: `room-probe-${++probes}`,
    batch: { max: 1 },
    calibrate: false,
  });
  return await weightRoom((x) => probe.run({ x }));
}

let probes = 0;

/** The model as it is beside the quantised one, on the same texts. */
async function measured(
  folder: string,
  options: EmbedderOptions,
  engine: Engine,
  quantised: Embedder,
): Promise<Accuracy> {
  const { dims: _dims, lanes: _lanes, cache: _cache, ...rest } = options;
  const vectors = async (quant: Quant): Promise<EmbedMatrix> => {
    const name = `${options.name ?? modelNameOf(folder, undefined)}.${quant}`;
    const own = { ...rest, engine, name, quant, output: "float32", verify: false } as const;
    await using model = await embedder(folder, own);
    return await model.embed(SAMPLE_TEXTS);
  };
  const whole = await vectors("none");
  return accuracyOf(
    whole,
    isWhole(options) ? await quantised.embed(SAMPLE_TEXTS) : await vectors("int8-row"),
  );
}

/** What `verify` asks for; undefined where it asks for nothing. */
async function goldenCheck(
  given: string,
  folder: string,
  options: EmbedderOptions,
  engine: Engine | undefined,
  made: Embedder,
): Promise<GoldenCheck | undefined> {
  const { verify, quant = "none", dims: _dims, lanes: _lanes, cache: _cache, ...rest } = options;
  if (verify === undefined || verify === false) return undefined;
  const golden = verify === true ? await goldenOf(given, folder) : verify;
  if (isWhole(options)) return checkGolden((...call) => made.embed(...call), golden, quant);
  const name = `${made.name}.golden`;
  const own = { ...rest, name, quant, output: "float32", verify: false } as const;
  await using whole = await embedder(folder, engine === undefined ? own : { ...own, engine });
  return await checkGolden((...call) => whole.embed(...call), golden, quant);
}

/** Whether vectors are as long as the model makes them, and floats. */
function isWhole({ dims, output = "float32" }: EmbedderOptions): boolean {
  return dims === undefined && output === "float32";
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
  options: Omit<EmbedderOptions, "engine" | "lanes" | "cache" | "name"> = {},
): Promise<PreparedEmbedder> {
  if (isStaticFolder(folder)) {
    const [{ StaticEmbedder }, { staticGraph }, { readStatic }] = await Promise.all([
      import("./static/static-embedder.js"),
      import("./static/static-graph.js"),
      import("./static/static-model.js"),
    ]);
    const model = await readStatic(folder, options);
    return {
      graph: staticGraph(model),
      attach: (_, loaded) => new StaticEmbedder(model, loaded().name, options),
    };
  }
  // Loaded by whoever it is: weights that every processor multiplies right.
  const texts = await readTexts(folder, options);
  const { denseGraph } = await import("./graph/dense.js");
  const graph = await denseGraph(texts.card, { ...choicesOf(options), weightRoom: "half" });
  const prepared = preparedOf(texts, graph, options);
  return {
    graph: graph.model,
    attach: (engine, model) => new EncoderEmbedder(prepared, onModel(engine, model)),
  };
}

interface Prepared {
  readonly card: ModelCard;
  readonly text: TextEncoder;
  readonly graph: DenseFacts;
  readonly output: OutputType;
  readonly quant: Quant;
  readonly ranges: Int8Ranges | undefined;
  readonly limits: RunnerLimits;
  /** Why texts run one at a time, or how their vectors depend on their company; undefined where neither is so. */
  readonly variance: string | undefined;
}

interface Texts {
  readonly card: ModelCard;
  readonly text: TextEncoder;
}

/** What a folder says of texts; options that can be refused without the graph are. */
async function readTexts(folder: string, options: EmbedderOptions): Promise<Texts> {
  checkOutput(options.output ?? "float32");
  const { quant = "none" } = options;
  if (!QUANTS.includes(quant)) {
    throw new TenonError("CONFIG_INVALID", {
      problem: "quant",
      given: String(quant),
      expected: QUANTS.join(", "),
    });
  }
  const card = readCard(folder, options);
  return {
    card,
    text: await TextEncoder.open(card, options.truncate ?? "right", undefined, { cache: cacheOf(options) }),
  };
}

function choicesOf({
  dims,
  output = "float32",
  quant = "none",
  tokenOutputs = false,
}: EmbedderOptions): DenseChoices {
  return { dims, output, quant, tokenOutputs };
}

function preparedOf({ card, text }: Texts, graph: DenseFacts, options: EmbedderOptions): Prepared {
  const { output, quant } = choicesOf(options);
  return { card, text, graph, output, quant, ranges: options.ranges, ...varianceOf(graph, options) };
}

function varianceOf(
  { sharedScale }: DenseFacts,
  { batchVariance = "alone", ...limits }: EmbedderOptions,
): Pick<Prepared, "limits" | "variance"> {
  if (batchVariance !== "alone" && batchVariance !== "allow") {
    throw new TenonError("CONFIG_INVALID", {
      problem: "batchVariance",
      given: String(batchVariance),
      expected: "alone, allow",
    });
  }
  if (sharedScale === undefined) return { limits, variance: undefined };
  if (batchVariance === "allow")
    return { limits, variance: `vectors depend on their batch: ${sharedScale} has one scale for all of it` };
  const variance = `one text a batch: ${sharedScale} has one scale for all of it; batchVariance: "allow" lifts this`;
  return { limits: { ...limits, budget: 1 }, variance };
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
  /** What `verify` found, where it was asked for. */
  readonly golden: GoldenCheck | undefined;
  /** Why texts run one at a time, or how vectors depend on the texts beside them; undefined where neither is so. */
  readonly batchVariance: string | undefined;
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

/** Texts to vectors with one model. Made by `embedder`. */
export type Embedder = Pick<EncoderEmbedder, keyof EncoderEmbedder>;

class EncoderEmbedder {
  readonly card: ModelCard;
  /** Numbers of a vector, before bits are packed. */
  readonly dims: number;
  /** What quantisation loses, where it was measured. */
  accuracy: Accuracy | undefined;
  /** What `verify` found, where it was asked for. */
  golden: GoldenCheck | undefined;
  readonly #prepared: Prepared;
  readonly #opened: OpenedModel;
  readonly #runner: TextRunner;
  #closing: Promise<void> | undefined;

  constructor(prepared: Prepared, opened: OpenedModel) {
    const { card, graph, text, limits } = prepared;
    this.card = card;
    this.dims = graph.dims;
    this.#prepared = prepared;
    this.#opened = opened;
    this.#runner = textRunner(opened, { ...graph, config: card.config, text, output: EMBEDDING, limits });
  }

  /** The name of the model in its engine. */
  get name(): string {
    return this.#opened.model().name;
  }

  get tokenizer(): TextEncoder["tokenizer"] {
    return this.#prepared.text.tokenizer;
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
        return this.#runner.checked(this.#prepared.text.fromIds(lists[row]!, name, options.truncate), name);
      },
    });
  }

  /** The vectors of a text's tokens, special ones included; of a graph that was prepared with them. */
  async tokenVectors(text: string, options: EmbedOptions = {}): Promise<EmbedMatrix<Float32Array>> {
    const { hidden } = this.#prepared.graph;
    if (hidden === undefined) {
      throw new TenonError("USAGE", { problem: "the embedder was opened without vectors of tokens" });
    }
    const prompt = promptFor(this.card, "any", options);
    const { times } = options;
    const start = performance.now();
    const tokens = this.#tokens(text, prompt, "the text", options.truncate);
    spend(times, "tokenizeMs", performance.now() - start);
    const data = await this.#runner.single(tokens, hidden, times);
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
    const { card, graph, output, quant } = this.#prepared;
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
      golden: this.golden,
      batchVariance: this.#prepared.variance,
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
    await this.#opened.release();
  }

  #tokens(text: string, prompt: string, name: string, truncate: TruncateSide | undefined): Tokens {
    return this.#runner.checked(this.#prepared.text.encode(text, prompt, name, truncate), name);
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
    const { output, ranges } = this.#prepared;
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
