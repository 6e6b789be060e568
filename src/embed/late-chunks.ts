/** Late chunks: parts of a document as vectors that saw the whole of it (Günther et al. 2024). */
import { TenonError } from "../base/index.js";
import type { ModelCard } from "./card/card.js";
import { EmbedMatrix } from "./matrix.js";
import { checkTexts } from "./text.js";
import type { TextTokenizer } from "./tokenizers/fallback.js";

/** Where a chunk begins and ends in its text, in UTF-16 units. */
export interface ChunkSpan {
  readonly start: number;
  readonly end: number;
}

export interface LateChunkOptions {
  /** The chunks; they may leave parts of the text out, and overlap. Default: of `tokens` each. */
  readonly spans?: readonly ChunkSpan[];
  /** Tokens of a chunk where no spans are given. Default 128. */
  readonly tokens?: number;
  readonly signal?: AbortSignal;
}

export interface LateChunks {
  readonly spans: readonly ChunkSpan[];
  /** A row a chunk. */
  readonly vectors: EmbedMatrix<Float32Array>;
}

/** What an embedder has that was opened with `tokenOutputs`. */
interface TokenEmbedder {
  readonly card: ModelCard;
  readonly tokenizer: TextTokenizer;
  tokenVectors(text: string, options?: { readonly prompt?: string }): Promise<EmbedMatrix<Float32Array>>;
}

/**
 * The document is run once, and the vectors of each chunk's tokens become their mean, of length 1 where the model's vectors
 * are. For models that pool by `mean`, without dense modules; a document that is longer than the model reads is refused.
 * Throws USAGE, TEXT_TOO_LONG, MODEL_UNSUPPORTED.
 *
 * ```ts
 * await using model = await embedder("./jina-embeddings-v2-small-en", { tokenOutputs: true });
 * const { spans, vectors } = await lateChunks(model, text, { tokens: 200 });
 * ```
 */
export async function lateChunks(
  model: TokenEmbedder,
  text: string,
  options: LateChunkOptions = {},
): Promise<LateChunks> {
  checkTexts([text]);
  const { card, tokenizer } = model;
  if (card.pooling.value.join() !== "mean" || card.dense.length > 0) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "only vectors that are means of their tokens' can be those of chunks",
      given: [...card.pooling.value, ...card.dense.map(() => "dense")].join(", "),
      expected: "mean",
    });
  }
  const { ids, offsets, sequences } = tokenizer.encode(text, { offsets: true });
  if (ids.length > card.maxTokens.value) {
    throw new TenonError("TEXT_TOO_LONG", {
      problem: "the document is longer than the model reads",
      given: `${ids.length} tokens`,
      expected: `at most ${card.maxTokens.value}`,
      do: "cut it into documents first",
    });
  }
  const places = Array.from(ids.keys()).filter((at) => sequences![at] !== 255);
  const spans = options.spans ?? evenSpans(text, places, offsets!, options.tokens ?? 128);
  for (const { start, end } of spans) {
    if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start < end && end <= text.length)
      continue;
    throw new TenonError("USAGE", {
      problem: "a chunk leaves its text",
      given: `${start} to ${end}`,
      expected: `0 to ${text.length}`,
    });
  }
  const hidden = await model.tokenVectors(text, { prompt: "" });
  const { dims } = hidden;
  const data = new Float32Array(spans.length * dims);
  const counts = new Uint32Array(spans.length);
  spans.forEach(({ start, end }, row) => {
    const inside = places.filter((at) => offsets![2 * at]! < end && offsets![2 * at + 1]! > start);
    counts[row] = inside.length;
    mean(hidden, inside, card.normalize.value, data.subarray(row * dims, (row + 1) * dims));
  });
  return { spans, vectors: new EmbedMatrix(data, spans.length, dims, counts, []) };
}

function evenSpans(
  text: string,
  places: readonly number[],
  offsets: Int32Array,
  tokens: number,
): ChunkSpan[] {
  if (!Number.isInteger(tokens) || tokens < 1)
    throw new TenonError("USAGE", { problem: "tokens", given: String(tokens), expected: "1 or more" });
  const spans: ChunkSpan[] = [];
  for (let from = 0; from < places.length; from += tokens) {
    const last = places[Math.min(from + tokens, places.length) - 1]!;
    const start = from === 0 ? 0 : spans.at(-1)!.end;
    const end = from + tokens >= places.length ? text.length : offsets[2 * last + 1]!;
    if (end > start) spans.push({ start, end });
  }
  return spans;
}

function mean(
  { data, dims }: EmbedMatrix<Float32Array>,
  rows: readonly number[],
  isUnit: boolean,
  out: Float32Array,
): void {
  if (rows.length === 0) return;
  for (const row of rows) for (let j = 0; j < dims; j++) out[j]! += data[row * dims + j]! / rows.length;
  if (!isUnit) return;
  const length = Math.max(Math.sqrt(out.reduce((sum, value) => sum + value * value, 0)), 1e-12);
  for (let j = 0; j < dims; j++) out[j]! /= length;
}
