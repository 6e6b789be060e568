/** Models of texts or pairs with a few numbers each: rerankers and classifiers. */
import { join } from "node:path";
import { TenonError } from "../base/index.js";
import { type OnnxModel, removeDead, run } from "../onnx/index.js";
import type { Engine, Model } from "../runtime/index.js";
import { readTextCard, type TextCard, type TruncateSide } from "./card/card.js";
import { isFields, isFile } from "./card/files.js";
import { bodyOf, idRows, onlyOutputs, tokenInputs } from "./graph/body.js";
import type { TokenInput } from "./graph/names.js";
import { HEAD } from "./head-folder.js";
import { modelFolder } from "./hub/cache.js";
import { sigmoid, softmax } from "./logits.js";
import { type OpenedModel, type OpenOptions, onEngine, onModel } from "./opened.js";
import { type RunnerLimits, type TextRunner, textRunner } from "./schedule/text-runner.js";
import type { Timed } from "./schedule/text-times.js";
import { checkTexts, TextEncoder } from "./text.js";

export interface HeadOptions extends OpenOptions, RunnerLimits {
  /** Most tokens of a text or pair, special ones included. Default: as the model says. */
  readonly maxTokens?: number;
  /** Texts that are longer than the model reads: cut at this side (default `right`), or refused. */
  readonly truncate?: TruncateSide;
}

export interface ScoreOptions {
  readonly signal?: AbortSignal;
  readonly truncate?: TruncateSide;
}

export interface RankOptions extends ScoreOptions, Timed {
  /** Most hits. Default: all. */
  readonly topK?: number;
  /** The model's own numbers in place of those between 0 and 1. Default false. */
  readonly rawScores?: boolean;
}

export interface RankHit {
  /** Position among the documents. */
  readonly index: number;
  readonly score: number;
  readonly text: string;
}

export interface LabelScore {
  readonly label: string;
  readonly score: number;
}

/** A text, or two that belong together. */
export type TextOrPair = string | readonly [string, string];

/** A model that was read and is not loaded yet. */
export interface PreparedHead {
  readonly graph: OnnxModel;
  attach(engine: Engine, model: () => Model): TextScorer;
}

const LOGITS = "logits";

interface Prepared {
  readonly card: TextCard;
  readonly text: TextEncoder;
  readonly graph: OnnxModel;
  readonly inputs: readonly TokenInput[];
  readonly labels: readonly string[];
  readonly limits: RunnerLimits;
}

/**
 * Opens a cross-encoder: a folder whose model gives a number, or some, for a pair of texts. Throws as `embedder`.
 *
 * ```ts
 * await using model = await reranker("./ms-marco-MiniLM-L6-v2");
 * const hits = await model.rank("what is a panda?", documents, { topK: 10 });
 * ```
 */
export function reranker(folder: string, options: HeadOptions = {}): Promise<TextScorer> {
  return openScorer(folder, options);
}

/** Opens a model that classifies texts: `classify(texts)` gives each label's score. Throws as `embedder`. */
export function classifier(folder: string, options: HeadOptions = {}): Promise<TextScorer> {
  return openScorer(folder, options);
}

/** As `reranker` and `classifier`, for an engine that loads the graph itself. */
export async function prepareHead(folder: string, options: HeadOptions = {}): Promise<PreparedHead> {
  const prepared = await prepare(folder, options);
  return {
    graph: prepared.graph,
    attach: (engine, model) => new TextScorer(prepared, onModel(engine, model)),
  };
}

async function openScorer(folder: string, options: HeadOptions): Promise<TextScorer> {
  return onEngine(
    folder,
    options,
    () => prepare(modelFolder(folder), options),
    async (prepared, load) => new TextScorer(prepared, await load(prepared.graph)),
  );
}

async function prepare(folder: string, options: HeadOptions): Promise<Prepared> {
  const card = readTextCard(folder, options);
  refuseOtherKind(card);
  const text = await TextEncoder.open({ ...card, includePrompt: true }, options.truncate ?? "right");
  const body = await bodyOf(card, "sequence-classification");
  const logits = body.model.graph.outputs.find(({ name }) => name === LOGITS);
  if (logits === undefined) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the graph gives no logits",
      given: body.model.graph.outputs.map(({ name }) => name).join(", "),
      expected: `an output "${LOGITS}" [batch, labels]`,
    });
  }
  return {
    card,
    text,
    graph: run(body.model, [onlyOutputs(LOGITS), removeDead]),
    inputs: tokenInputs(body.model),
    labels: labelsOf(card.config, logits.type?.kind === "tensor" ? logits.type.shape?.[1] : undefined),
    limits: options,
  };
}

/** A folder whose files say that it is another kind of model. Throws MODEL_UNSUPPORTED. */
function refuseOtherKind({ folder, config }: TextCard): void {
  const classes = Array.isArray(config.architectures) ? config.architectures.map(String) : [];
  if (classes.some((name) => name.endsWith(HEAD))) return;
  const embeds = isFile(join(folder, "modules.json"));
  if (classes.length === 0 && !embeds) return;
  throw new TenonError("MODEL_UNSUPPORTED", {
    problem: "the model scores no pairs and has no labels of texts",
    given: [...classes, ...(embeds ? ["modules.json"] : [])].join(", ").slice(0, 200),
    expected: `a cross-encoder or classifier: "architectures": ["…${HEAD}"] in config.json`,
    ...(embeds ? { do: "for vectors of texts: tenon embed, or embedder() in a program" } : {}),
  });
}

/** Names of labels as a config has them, as many as the graph gives. */
export function labelsOf(config: TextCard["config"], declared: unknown): readonly string[] {
  const named = isFields(config.id2label) ? config.id2label : {};
  const count =
    typeof declared === "number" ? declared : Object.keys(named).length || Number(config.num_labels ?? 1);
  return Array.from({ length: count }, (_, i) => String(named[i] ?? `LABEL_${i}`));
}

/** Scores texts and pairs with one model. Made by `reranker` and `classifier`. */
export class TextScorer {
  /** Labels in the order of the model's numbers. */
  readonly labels: readonly string[];
  readonly #prepared: Prepared;
  readonly #opened: OpenedModel;
  readonly #runner: TextRunner;
  #closing: Promise<void> | undefined;

  constructor(prepared: Prepared, opened: OpenedModel) {
    const { card, text, inputs, labels, limits } = prepared;
    this.labels = labels;
    this.#prepared = prepared;
    this.#opened = opened;
    const output = LOGITS;
    this.#runner = textRunner(opened, {
      config: card.config,
      text,
      inputs,
      poolingMask: false,
      rows: idRows(prepared.graph),
      output,
      limits,
    });
  }

  get name(): string {
    return this.#opened.model().name;
  }

  get tokenizer(): TextEncoder["tokenizer"] {
    return this.#prepared.text.tokenizer;
  }

  get maxTokens(): number {
    return this.#prepared.card.maxTokens.value;
  }

  /**
   * Documents by how well they answer, best first, equal ones in their order. A score is the sigmoid of the model's one
   * number. Throws MODEL_UNSUPPORTED for a model of several labels.
   */
  async rank(query: string, documents: readonly string[], options: RankOptions = {}): Promise<RankHit[]> {
    checkTexts([query]);
    checkTexts(documents);
    if (this.labels.length !== 1) {
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: "the model is no reranker",
        given: `${this.labels.length} labels`,
        expected: "one number a pair",
      });
    }
    const { topK = documents.length } = options;
    if (!Number.isInteger(topK) || topK < 0)
      throw new TenonError("USAGE", { problem: "topK", given: String(topK), expected: "a whole number" });
    const { logits } = await this.logits(
      documents.map((text) => [query, text] as const),
      options,
    );
    const hits = documents.map((text, index): RankHit => {
      const raw = logits[index]!;
      return { index, score: options.rawScores === true ? raw : sigmoid(raw), text };
    });
    return hits.sort((a, b) => b.score - a.score || a.index - b.index).slice(0, topK);
  }

  /**
   * Scores of every label, best first: shares of a whole, or each by itself where the config says that several may hold
   * (`problem_type: multi_label_classification`) or there is one label alone.
   */
  async classify(
    texts: readonly TextOrPair[],
    options: ScoreOptions & Timed & { readonly rawScores?: boolean } = {},
  ): Promise<LabelScore[][]> {
    const { logits } = await this.logits(texts, options);
    const width = this.labels.length;
    const alone = width === 1 || this.#prepared.card.config.problem_type === "multi_label_classification";
    return texts.map((_, row) => {
      const raw = logits.subarray(row * width, (row + 1) * width);
      const scores = options.rawScores === true ? raw : alone ? raw.map(sigmoid) : softmax(raw);
      return this.labels.map((label, i) => ({ label, score: scores[i]! })).sort((a, b) => b.score - a.score);
    });
  }

  /** The model's own numbers, `labels` a text, and how many tokens each took. */
  async logits(
    texts: readonly TextOrPair[],
    options: ScoreOptions & Timed = {},
  ): Promise<{ readonly logits: Float32Array; readonly tokens: Uint32Array }> {
    const { text: encoder } = this.#prepared;
    const width = this.labels.length;
    const logits = new Float32Array(texts.length * width);
    const { tokens } = await this.#runner.collect(
      {
        data: logits,
        width,
        count: texts.length,
        tokensOf: (row) => {
          const given = texts[row]!;
          const name = `text ${row}`;
          const made =
            typeof given === "string"
              ? encoder.encode(given, "", name, options.truncate)
              : encoder.encodePair(...checkedPair(given, row), name, options.truncate);
          return this.#runner.checked(made, name);
        },
        keyOf: (row) => {
          const given = texts[row]!;
          return typeof given === "string" ? given : `${given[0].length} ${given[0]}${given[1]}`;
        },
      },
      options,
    );
    return { logits, tokens };
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.#runner.close(new TenonError("ENGINE_CLOSED", { problem: `model "${this.name}" was closed` }));
    await this.#opened.release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

function checkedPair(pair: readonly [string, string], row: number): readonly [string, string] {
  if (Array.isArray(pair) && pair.length === 2) {
    checkTexts(pair);
    return pair;
  }
  throw new TenonError("USAGE", { problem: `text ${row} is no text and no pair of texts` });
}
