/** SparseEmbedder: texts as weights of the vocabulary's words, by a masked language model (SPLADE). */
import { TenonError } from "../../base/index.js";
import { appendGraph, graph, type OnnxModel, removeDead, run } from "../../onnx/index.js";
import type { Engine, Model } from "../../runtime/index.js";
import { modulesOf, readTextCard, type TextCard, type TruncateSide } from "../card/card.js";
import { type Fields, readFields } from "../card/files.js";
import { bodyOf, idRows, onlyOutputs, tokenInputs } from "../graph/body.js";
import type { TokenInput } from "../graph/names.js";
import { PoolingInputs } from "../graph/pool.js";
import { modelFolder } from "../hub/cache.js";
import { type OpenedModel, type OpenOptions, onEngine, onModel } from "../opened.js";
import { inSlices } from "../schedule/slices.js";
import { type RunnerLimits, type TextRunner, textRunner } from "../schedule/text-runner.js";
import type { Timed } from "../schedule/text-times.js";
import { checkTexts, TextEncoder } from "../text.js";
import { SPARSE_MODULES } from "./sparse-folder.js";
import type { SparseVector } from "./sparse-vector.js";

export interface SparseOptions extends OpenOptions, RunnerLimits {
  /** Most tokens of a text, special ones included. Default: as the model says. */
  readonly maxTokens?: number;
  /** Texts that are longer than the model reads: cut at this side (default `right`), or refused. */
  readonly truncate?: TruncateSide;
}

export interface SparseCallOptions extends Timed {
  readonly signal?: AbortSignal;
  readonly truncate?: TruncateSide;
}

/** A folder that was read, and whose graph is not loaded yet. */
export interface PreparedSparse {
  readonly graph: OnnxModel;
  attach(engine: Engine, model: () => Model): SparseEmbedder;
}

const OUTPUT = "sparse_embedding";
const LOGITS = "logits";
/** Texts whose whole rows are held at once: a row has as many numbers as there are tokens in the vocabulary. */
const AT_ONCE = 128;

interface Prepared {
  readonly card: TextCard;
  readonly text: TextEncoder;
  readonly graph: OnnxModel;
  readonly inputs: readonly TokenInput[];
  readonly width: number;
  readonly limits: RunnerLimits;
}

/**
 * Opens a folder of sentence-transformers' SparseEncoder with a masked language model, or of such a model alone, which is
 * pooled as SPLADE is: `max over tokens of log(1 + relu(logit))`. Throws MODEL_INCOMPLETE, MODEL_UNSUPPORTED,
 * TOKENIZER_UNSUPPORTED, FILE_INVALID, MODEL_NOT_FOUND.
 *
 * ```ts
 * await using model = await sparseEmbedder("./splade");
 * const [vector] = await model.embed(["a red panda"]); // { indices, values }
 * ```
 */
export async function sparseEmbedder(given: string, options: SparseOptions = {}): Promise<SparseEmbedder> {
  return onEngine(
    given,
    options,
    () => prepare(modelFolder(given), options),
    async (prepared, load) => new SparseEmbedder(prepared, await load(prepared.graph)),
  );
}

/** As `sparseEmbedder`, for an engine that loads the graph itself. */
export async function prepareSparse(given: string, options: SparseOptions = {}): Promise<PreparedSparse> {
  const prepared = await prepare(modelFolder(given), options);
  return {
    graph: prepared.graph,
    attach: (engine, model) => new SparseEmbedder(prepared, onModel(engine, model)),
  };
}

async function prepare(folder: string, options: SparseOptions): Promise<Prepared> {
  const card = readTextCard(folder, options);
  const text = await TextEncoder.open({ ...card, includePrompt: true }, options.truncate ?? "right");
  const body = await bodyOf(card, "masked-lm");
  const logits = body.model.graph.outputs.find(({ name }) => name === LOGITS);
  const shape = logits?.type?.kind === "tensor" ? logits.type.shape : undefined;
  const width = typeof shape?.[2] === "number" ? shape[2] : card.config.vocab_size;
  if (logits === undefined || typeof width !== "number") {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the graph gives no logits of a vocabulary",
      given: body.model.graph.outputs.map(({ name }) => name).join(", "),
      expected: `an output "${LOGITS}" [batch, sequence, vocabulary]`,
    });
  }
  const isHalf = logits.type?.kind === "tensor" && logits.type.dtype === "float16";
  const tail = pooled(poolingOf(folder), body.model.opsets.get("") ?? 20, width, isHalf);
  const model = run(body.model, [
    appendGraph(tail, { logits: LOGITS, mask: "attention_mask" }, {}),
    onlyOutputs(OUTPUT),
    removeDead,
  ]);
  const inputs = tokenInputs(model);
  if (!inputs.includes("attention_mask")) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the graph does not tell tokens from padding",
      given: inputs.join(", "),
      expected: "an input attention_mask",
    });
  }
  return {
    card,
    text,
    graph: model,
    inputs,
    width,
    limits: options,
  };
}

interface Splade {
  readonly strategy: "max" | "sum";
  /** Logarithms that are taken: one, or two of OpenSearch's models. */
  readonly logs: 1 | 2;
}

function poolingOf(folder: string): Splade {
  const modules = modulesOf(folder);
  const kinds = modules?.map(({ kind }) => kind);
  if (kinds !== undefined && !SPARSE_MODULES.includes(kinds.join())) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "modules.json names another model than a sparse one",
      given: kinds.join(", ").slice(0, 200),
      expected: "MLMTransformer or Transformer, then SpladePooling",
    });
  }
  const module = modules?.[1];
  const config: Fields = module === undefined ? {} : (readFields(module.folder, "config.json") ?? {});
  const { pooling_strategy: strategy = "max", activation_function: activation = "relu" } = config;
  if ((strategy === "max" || strategy === "sum") && (activation === "relu" || activation === "log1p_relu"))
    return { strategy, logs: activation === "relu" ? 1 : 2 };
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: `${module?.path}/config.json names a pooling that is not known`,
    given: `${String(strategy)}, ${String(activation)}`.slice(0, 100),
    expected: "max or sum, relu or log1p_relu",
  });
}

/** Inputs `logits` [batch, sequence, width] and the mask; output [batch, width]. */
function pooled({ strategy, logs }: Splade, opset: number, width: number, isHalf: boolean): OnnxModel {
  const g = graph({ opset });
  const logits = g.input("logits", isHalf ? "float16" : "float32", ["batch", "sequence", width]);
  const mask = g.input("mask", "int64", ["batch", "sequence"]);
  const from = new PoolingInputs(g, isHalf ? g.add("Cast", [logits], { to: 1 }) : logits, mask);
  const log = (x: string): string => {
    let y = x;
    for (let i = 0; i < logs; i++) y = g.add("Log", [g.add("Add", [y, from.number(1)])]);
    return y;
  };
  let x: string;
  if (strategy === "sum") x = sumOf(from, log(g.add("Relu", [from.hidden])));
  else {
    // Logarithms keep the order: the largest logit first, then one logarithm a word.
    const seen = g.add("Unsqueeze", [from.mask, from.ints(2)]);
    const masked = g.add("Mul", [from.hidden, seen]);
    x = log(g.add("Relu", [g.add("ReduceMax", [masked, from.ints(1)], { keepdims: 0 })]));
  }
  g.output(x, OUTPUT, { kind: "tensor", dtype: "float32", shape: ["batch", width] });
  return g.model();
}

/** The sum over the tokens of the mask. */
function sumOf(from: PoolingInputs, values: string): string {
  const { g } = from;
  const rows = g.add("Unsqueeze", [from.mask, from.ints(1)]);
  return g.add("Squeeze", [g.add("MatMul", [rows, values]), from.ints(1)]);
}

/** Made by `sparseEmbedder`. */
export class SparseEmbedder {
  /** Places of a vector: tokens of the vocabulary. */
  readonly dims: number;
  readonly maxTokens: number;
  readonly #prepared: Prepared;
  readonly #opened: OpenedModel;
  readonly #runner: TextRunner;
  #closing: Promise<void> | undefined;

  constructor(prepared: Prepared, opened: OpenedModel) {
    const { card, text, inputs, width, limits } = prepared;
    this.dims = width;
    this.maxTokens = card.maxTokens.value;
    this.#prepared = prepared;
    this.#opened = opened;
    this.#runner = textRunner(opened, {
      config: card.config,
      text,
      inputs,
      poolingMask: false,
      rows: idRows(prepared.graph),
      output: OUTPUT,
      limits,
    });
  }

  get name(): string {
    return this.#opened.model().name;
  }

  get tokenizer(): TextEncoder["tokenizer"] {
    return this.#prepared.text.tokenizer;
  }

  /** The token that a place of a vector stands for. */
  tokenOf(index: number): string | undefined {
    return this.tokenizer.tokenOf(index);
  }

  /** A vector a text, in their order. Rejects as `Embedder.embed`. */
  async embed(texts: readonly string[], options: SparseCallOptions = {}): Promise<SparseVector[]> {
    checkTexts(texts);
    const vectors: SparseVector[] = [];
    for (let from = 0; from < texts.length; from += AT_ONCE)
      vectors.push(...(await this.#some(texts.slice(from, from + AT_ONCE), from, options)));
    return vectors;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #some(texts: readonly string[], first: number, options: SparseCallOptions): Promise<SparseVector[]> {
    const { text, width } = this.#prepared;
    const data = new Float32Array(texts.length * width);
    const rows = {
      data,
      width,
      count: texts.length,
      tokensOf: (row: number) => {
        const name = `text ${first + row}`;
        return this.#runner.checked(text.encode(texts[row]!, "", name, options.truncate), name);
      },
      keyOf: (row: number) => texts[row]!,
    };
    await this.#runner.collect(rows, options);
    return await inSlices(texts, (_, row) => nonZero(data.subarray(row * width, (row + 1) * width)));
  }

  async #close(): Promise<void> {
    await this.#runner.close(new TenonError("ENGINE_CLOSED", { problem: `model "${this.name}" was closed` }));
    await this.#opened.release();
  }
}

function nonZero(row: Float32Array): SparseVector {
  let count = 0;
  for (let i = 0; i < row.length; i++) if (row[i] !== 0) count++;
  const indices = new Uint32Array(count);
  const values = new Float32Array(count);
  let at = 0;
  for (let i = 0; i < row.length; i++) {
    if (row[i] === 0) continue;
    indices[at] = i;
    values[at++] = row[i]!;
  }
  return { indices, values };
}
