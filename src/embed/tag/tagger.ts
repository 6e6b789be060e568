/** Tagger: labels for parts of texts, by a model that classifies tokens. */
import { readFileSync } from "node:fs";
import { TenonError } from "../../base/index.js";
import { type OnnxModel, removeDead, run } from "../../onnx/index.js";
import { readTextCard, type TextCard, tokenizerFile } from "../card/card.js";
import { isFields } from "../card/files.js";
import { bodyOf, idRows, onlyOutputs, tokenInputs } from "../graph/body.js";
import type { TokenInput } from "../graph/names.js";
import { type HeadOptions, labelsOf, type ScoreOptions } from "../heads.js";
import { modelFolder } from "../hub/cache.js";
import { softmax } from "../logits.js";
import { type OpenedModel, onEngine } from "../opened.js";
import { inSlices } from "../schedule/slices.js";
import { type RunnerLimits, type TextRunner, textRunner } from "../schedule/text-runner.js";
import { checkTexts, TextEncoder, type Tokens } from "../text.js";
import { AGGREGATIONS, type Aggregation, type ScoredToken, spansOf, type TagSpan } from "./spans.js";

export interface TagOptions extends ScoreOptions {
  /** Default `simple`. */
  readonly aggregation?: Aggregation;
  /** Labels that are left out. Default `O`. */
  readonly ignore?: readonly string[];
}

const LOGITS = "logits";
/** Texts whose logits are held at once. */
const AT_ONCE = 128;

interface Prepared {
  readonly card: TextCard;
  readonly text: TextEncoder;
  /** Tokens that go on with a word have a mark in front, as in WordPiece. */
  readonly hasPrefix: boolean;
  readonly unknown: number | undefined;
  readonly graph: OnnxModel;
  readonly inputs: readonly TokenInput[];
  readonly labels: readonly string[];
  readonly truncate: NonNullable<HeadOptions["truncate"]>;
  readonly limits: RunnerLimits;
}

/**
 * Opens a model of token classification, as of named entities: `tag(texts)` gives the labelled parts of each text. Throws as
 * `embedder`.
 *
 * ```ts
 * await using model = await tagger("./bert-base-NER");
 * const [spans] = await model.tag(["Wolfgang lives in Berlin."], { aggregation: "first" }); // { label, score, start, end, text }
 * ```
 */
export async function tagger(given: string, options: HeadOptions = {}): Promise<Tagger> {
  return onEngine(
    given,
    options,
    () => prepare(modelFolder(given), options),
    async (prepared, load) => new Tagger(prepared, await load(prepared.graph)),
  );
}

async function prepare(folder: string, options: HeadOptions): Promise<Prepared> {
  const card = readTextCard(folder, options);
  const file: unknown = JSON.parse(readFileSync(tokenizerFile(card), "utf8"));
  const text = await TextEncoder.open({ ...card, includePrompt: true }, options.truncate ?? "right");
  const part = isFields(file) && isFields(file.model) ? file.model : {};
  const body = await bodyOf(card, "token-classification");
  const logits = body.model.graph.outputs.find(({ name }) => name === LOGITS);
  const shape = logits?.type?.kind === "tensor" ? logits.type.shape : undefined;
  if (logits === undefined || (shape !== undefined && shape.length !== 3)) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the graph gives no logits of its tokens",
      given: body.model.graph.outputs.map(({ name }) => name).join(", "),
      expected: `an output "${LOGITS}" [batch, sequence, labels]`,
    });
  }
  return {
    card,
    text,
    hasPrefix: typeof part.continuing_subword_prefix === "string" && part.continuing_subword_prefix !== "",
    unknown: typeof part.unk_token === "string" ? text.tokenizer.idOf(part.unk_token) : undefined,
    graph: run(body.model, [onlyOutputs(LOGITS), removeDead]),
    inputs: tokenInputs(body.model),
    labels: labelsOf(card.config, shape?.[2]),
    truncate: options.truncate ?? "right",
    limits: options,
  };
}

interface Encoded {
  readonly tokens: Tokens;
  readonly offsets: Int32Array;
  readonly sequences: Uint8Array;
}

/** Made by `tagger`. */
export class Tagger {
  /** Labels in the order of the model's numbers. */
  readonly labels: readonly string[];
  readonly name: string;
  readonly #prepared: Prepared;
  readonly #runner: TextRunner;
  readonly #opened: OpenedModel;
  #closing: Promise<void> | undefined;

  constructor(prepared: Prepared, opened: OpenedModel) {
    const { card, text, inputs, labels, limits } = prepared;
    this.labels = labels;
    this.name = opened.model().name;
    this.#prepared = prepared;
    this.#opened = opened;
    this.#runner = textRunner(opened, {
      config: card.config,
      text,
      inputs,
      poolingMask: false,
      rows: idRows(prepared.graph),
      output: LOGITS,
      limits,
    });
  }

  /** The labelled parts of each text, in their order. Rejects as `Embedder.embed`, and with USAGE. */
  async tag(texts: readonly string[], options: TagOptions = {}): Promise<TagSpan[][]> {
    checkTexts(texts);
    const { aggregation = "simple", ignore = ["O"] } = options;
    if (!AGGREGATIONS.includes(aggregation)) {
      throw new TenonError("USAGE", {
        problem: "aggregation",
        given: String(aggregation),
        expected: AGGREGATIONS.join(", "),
      });
    }
    const ignored = new Set(ignore);
    const all: TagSpan[][] = [];
    for (let from = 0; from < texts.length; from += AT_ONCE) {
      const some = texts.slice(from, from + AT_ONCE);
      const scored = await this.#scored(some, from, options);
      some.forEach((text, i) => {
        all.push(spansOf(text, scored[i]!, this.labels, aggregation, ignored));
      });
    }
    return all;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    await this.#runner.close(new TenonError("ENGINE_CLOSED", { problem: `model "${this.name}" was closed` }));
    await this.#opened.release();
  }

  async #scored(texts: readonly string[], first: number, options: TagOptions): Promise<ScoredToken[][]> {
    const encoded = await inSlices(texts, (text, i) => this.#encoded(text, `text ${first + i}`, options));
    const longest = encoded.reduce((most, { tokens }) => Math.max(most, tokens.ids.length), 1);
    const labels = this.labels.length;
    const width = longest * labels;
    const data = new Float32Array(texts.length * width);
    // Rows of a batch are as long as its longest text, and begin with the text's own tokens.
    await this.#runner.collect(
      {
        data,
        width,
        count: texts.length,
        tokensOf: (row) => this.#runner.checked(encoded[row]!.tokens, `text ${first + row}`),
        keyOf: (row) => texts[row]!,
      },
      options,
    );
    return await inSlices(encoded, (one, row) =>
      this.#tokens(texts[row]!, one, data.subarray(row * width, (row + 1) * width)),
    );
  }

  #encoded(text: string, name: string, options: TagOptions): Encoded {
    const { text: encoder, card, truncate: usual } = this.#prepared;
    const { tokenizer } = encoder;
    const side = options.truncate ?? usual;
    const encoding = tokenizer.encode(text, {
      offsets: true,
      maxTokens: card.maxTokens.value,
      truncate: side === "left" ? "left" : "right",
    });
    if (encoding.truncated && side === "error") {
      throw new TenonError("TEXT_TOO_LONG", {
        problem: `${name} is longer than the model reads`,
        given: `${tokenizer.count(text)} tokens`,
        expected: `at most ${card.maxTokens.value}`,
      });
    }
    const { ids, typeIds, truncated } = encoding;
    return {
      tokens: { ids, typeIds, unpooled: 0, truncated },
      offsets: encoding.offsets!,
      sequences: encoding.sequences!,
    };
  }

  #tokens(text: string, { tokens, offsets, sequences }: Encoded, logits: Float32Array): ScoredToken[] {
    const { text: encoder, hasPrefix, unknown } = this.#prepared;
    const { tokenizer } = encoder;
    const labels = this.labels.length;
    const out: ScoredToken[] = [];
    tokens.ids.forEach((id, at) => {
      if (sequences[at] === 255) return;
      const [start, end] = [offsets[2 * at]!, offsets[2 * at + 1]!];
      const isSubword =
        id !== unknown &&
        (hasPrefix
          ? [...(tokenizer.tokenOf(id) ?? "")].length !== [...text.slice(start, end)].length
          : start > 0 && !text.slice(start - 1, start + 1).includes(" "));
      out.push({ scores: softmax(logits.subarray(at * labels, (at + 1) * labels)), start, end, isSubword });
    });
    return out;
  }
}
