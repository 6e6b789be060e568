/** TEXT_SCHEMAS: the bodies of the routes of texts, in both dialects. */
import type { TextToken } from "../texts/model.js";
import { asked, COUNT, FLAG, listOf, NUMBER, orNull, refTo, type Schema, TEXT, written } from "./schema.js";

const ID: Schema = { type: "integer", minimum: 0 };
const MODEL = written({ id: TEXT, object: { const: "model" }, created: COUNT, owned_by: TEXT });
/** A text, its tokens, or several of either. */
const INPUTS: Schema = {
  anyOf: [TEXT, listOf(TEXT, 1), listOf({ type: "integer" }, 1), listOf(listOf({ type: "integer" }, 1), 1)],
};
const TEXTS: Schema = { anyOf: [TEXT, listOf(TEXT, 1)] };
const VECTOR = listOf(orNull(NUMBER));
const PAIR: Schema = { ...listOf(TEXT, 1), maxItems: 2 };
const DIMENSIONS = orNull({ type: "integer", minimum: 1 });
const PREDICTION = listOf(written({ label: TEXT, score: orNull(NUMBER) }));
const OPTIONS = {
  truncate: { ...orNull(FLAG), default: false },
  truncation_direction: { enum: ["right", "left", "Right", "Left", null] },
  prompt_name: orNull(TEXT),
} as const;
const RAW_SCORES = { raw_scores: orNull(FLAG) } as const;

export const TEXT_SCHEMAS = {
  OpenAiError: written({
    error: written({
      message: TEXT,
      type: { enum: ["server_error", "rate_limit_error", "invalid_request_error"] },
      param: orNull(TEXT),
      code: orNull(TEXT),
    }),
  }),
  EmbeddingsRequest: asked(
    {
      model: TEXT,
      input: INPUTS,
      encoding_format: { enum: ["float", "base64", null] },
      dimensions: DIMENSIONS,
      prompt_name: orNull(TEXT),
    },
    ["model", "input"],
  ),
  Embeddings: written({
    object: { const: "list" },
    data: listOf(
      written({
        object: { const: "embedding" },
        embedding: { anyOf: [VECTOR, { ...TEXT, contentEncoding: "base64" }] },
        index: COUNT,
      }),
    ),
    model: TEXT,
    usage: written({ prompt_tokens: COUNT, total_tokens: COUNT }),
  }),
  OpenAiModel: MODEL,
  OpenAiModels: written({ object: { const: "list" }, data: listOf(refTo("OpenAiModel")) }),
  TeiError: written({
    error: TEXT,
    error_type: { enum: ["Validation", "Empty", "Overloaded", "Unhealthy", "Backend"] },
  }),
  EmbedRequest: asked(
    { inputs: INPUTS, normalize: { ...orNull(FLAG), default: true }, dimensions: DIMENSIONS, ...OPTIONS },
    ["inputs"],
  ),
  Vectors: listOf(VECTOR),
  TextsRequest: asked({ inputs: TEXTS, ...OPTIONS }, ["inputs"]),
  TokenVectors: listOf(listOf(VECTOR)),
  SparseVectors: listOf(listOf(written({ index: COUNT, value: NUMBER }))),
  SimilarityRequest: asked(
    {
      inputs: asked({ source_sentence: TEXT, sentences: listOf(TEXT, 1) }, ["source_sentence", "sentences"]),
      parameters: orNull(asked(OPTIONS)),
    },
    ["inputs"],
  ),
  Similarities: VECTOR,
  RerankRequest: asked(
    { query: TEXT, texts: listOf(TEXT, 1), return_text: orNull(FLAG), ...RAW_SCORES, ...OPTIONS },
    ["query", "texts"],
  ),
  Ranks: listOf(written({ index: COUNT, score: orNull(NUMBER), text: TEXT }, ["text"])),
  PredictRequest: asked({ inputs: { anyOf: [TEXT, PAIR, listOf(PAIR, 1)] }, ...RAW_SCORES, ...OPTIONS }, [
    "inputs",
  ]),
  Predictions: { anyOf: [PREDICTION, listOf(PREDICTION)] },
  UsualRequest: {
    anyOf: (["EmbedRequest", "TextsRequest", "RerankRequest", "PredictRequest"] as const).map(refTo),
  },
  UsualAnswer: { anyOf: (["Vectors", "SparseVectors", "Ranks", "Predictions"] as const).map(refTo) },
  TokenizeRequest: asked(
    { inputs: TEXTS, add_special_tokens: { ...orNull(FLAG), default: true }, prompt_name: orNull(TEXT) },
    ["inputs"],
  ),
  Tokens: listOf(
    listOf(
      written<TextToken>({ id: ID, text: TEXT, special: FLAG, start: orNull(COUNT), stop: orNull(COUNT) }),
    ),
  ),
  DecodeRequest: asked(
    {
      ids: { anyOf: [listOf(ID), listOf(listOf(ID))] },
      skip_special_tokens: { ...orNull(FLAG), default: true },
    },
    ["ids"],
  ),
  Texts: listOf(TEXT),
  TeiInfo: asked({ model_id: TEXT, model_type: { type: "object" }, version: TEXT, max_input_length: COUNT }, [
    "model_id",
    "model_type",
    "version",
    "max_input_length",
  ]),
} as const satisfies Readonly<Record<string, Schema>>;
