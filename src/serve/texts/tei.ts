/** The dialect of text-embeddings-inference: /embed, /rerank, /predict and their kin. */
import { TenonError, toTenonError } from "../../base/index.js";
import type { Exchange } from "../http/exchange.js";
import type { Route } from "../http/router.js";
import { STATUS } from "../http/status.js";
import { JsonWriter } from "../json/writer.js";
import { type RouteDoc, TEXT_FAILS } from "../openapi/route-doc.js";
import type { SchemaName } from "../openapi/schemas.js";
import type {
  ScoreModel,
  SparseModel,
  TextModel,
  TextModels,
  TextOptions,
  TextTimes,
  VectorModel,
} from "./model.js";
import { messageOf } from "./openai.js";
import {
  choiceOf,
  countOf,
  type Fields,
  flagOf,
  inputsOf,
  invalid,
  neededText,
  queryOf,
  readFields,
  textOf,
  textsOf,
} from "./request.js";
import { kindOf, TEI_ERRORS } from "./tei-errors.js";
import { timeHeaders, wholeMs } from "./tei-times.js";
import { cutVectors, unitVectors, writeRows } from "./vectors.js";

const JSON_HEADERS = ["Content-Type", "application/json"];

interface Call {
  readonly fields: Fields;
  readonly exchange: Exchange;
  /** What its texts' time goes to. */
  readonly times: TextTimes;
}

type Answer = (call: Call) => Promise<unknown>;

/** Bytes that are JSON already. */
class Written {
  readonly bytes: Buffer;
  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }
}

function textDoc(summary: string, body: SchemaName, answer: SchemaName): RouteDoc {
  const query = ["model"];
  return { summary, body, bodyNeeded: true, query, answer, fails: TEXT_FAILS, dialect: TEI_ERRORS };
}

const INFO: RouteDoc = {
  summary: "What the model is.",
  query: ["model"],
  answer: "TeiInfo",
  dialect: TEI_ERRORS,
};
const HEALTH: RouteDoc = { summary: "Whether all models answer.", also: { 503: null } };

export function teiRoutes(texts: TextModels, version: string, isReady: () => boolean): readonly Route[] {
  const post = (path: string, doc: RouteDoc, answer: Answer): Route => ({
    method: "POST",
    path,
    doc,
    run: (exchange) => answered(exchange, answer),
  });
  const health: Route["run"] = (exchange) => exchange.answer(isReady() ? 200 : 503, [], []);
  const info: Route["run"] = (exchange) =>
    answered(
      exchange,
      async () =>
        infoOf(
          modelOf(texts, exchange, () => true, "a model of texts"),
          version,
        ),
      false,
    );
  const vectors = (exchange: Exchange): VectorModel =>
    modelOf(
      texts,
      exchange,
      (model): model is VectorModel => model.kind === "embedding",
      "an embedding model",
    );
  const scores = (exchange: Exchange, kinds: readonly string[], what: string): ScoreModel =>
    modelOf(texts, exchange, (model): model is ScoreModel => kinds.includes(model.kind), what);
  const sparse = (exchange: Exchange): SparseModel => {
    const isSparse = (model: TextModel): model is SparseModel => model.kind === "sparse";
    const others = texts.list();
    // As the other server tells of a model without such a head.
    if (others.length > 0 && !others.some(isSparse)) {
      throw new TenonError("MODEL_UNSUPPORTED", {
        problem: `\`${others[0]!.name}\` has no sparse head`,
        details: { tei: true },
      });
    }
    return modelOf(texts, exchange, isSparse, "a sparse model");
  };
  const any = (exchange: Exchange): TextModel => modelOf(texts, exchange, () => true, "a model of texts");
  /** What a client asks for that only has the server's address. */
  const usual: Answer = async (call) => {
    const model = any(call.exchange);
    if (model.kind === "embedding") return embed(call, model);
    if (model.kind === "sparse") return embedSparse(call, model);
    return model.kind === "reranker" ? rerank(call, model) : predict(call, model);
  };

  return [
    post("/embed", textDoc("Vectors of texts.", "EmbedRequest", "Vectors"), (call) =>
      embed(call, vectors(call.exchange)),
    ),
    post("/embed_all", textDoc("A vector for each token.", "TextsRequest", "TokenVectors"), (call) =>
      embedAll(call, vectors(call.exchange)),
    ),
    post("/embed_sparse", textDoc("Sparse vectors of texts.", "TextsRequest", "SparseVectors"), (call) =>
      embedSparse(call, sparse(call.exchange)),
    ),
    post(
      "/similarity",
      textDoc("Cosines of one text with others.", "SimilarityRequest", "Similarities"),
      (call) => similarity(call, vectors(call.exchange)),
    ),
    post("/rerank", textDoc("Texts by how well they answer a query.", "RerankRequest", "Ranks"), (call) =>
      rerank(call, scores(call.exchange, ["reranker"], "a reranker")),
    ),
    post("/predict", textDoc("Labels of texts.", "PredictRequest", "Predictions"), (call) =>
      predict(call, scores(call.exchange, ["classifier", "reranker"], "a classifier")),
    ),
    post("/tokenize", textDoc("Tokens of texts.", "TokenizeRequest", "Tokens"), async (call) =>
      tokenize(call, any(call.exchange)),
    ),
    post("/decode", textDoc("Texts of tokens.", "DecodeRequest", "Texts"), async ({ fields, exchange }) =>
      decode(fields, any(exchange)),
    ),
    post("/", textDoc("What the model is for.", "UsualRequest", "UsualAnswer"), usual),
    { method: "GET", path: "/info", run: info, doc: INFO },
    { method: "GET", path: "/health", run: health, whileDraining: true, open: true, doc: HEALTH },
    { method: "GET", path: "/ping", run: health, whileDraining: true, open: true, doc: HEALTH },
  ];
}

/** The model that the query names, else the only one of its kind. */
function modelOf<M extends TextModel>(
  texts: TextModels,
  exchange: Exchange,
  isOne: ((model: TextModel) => model is M) | (() => boolean),
  what: string,
): M {
  const name = queryOf(exchange, "model");
  const all = texts.list().filter((model): model is M => isOne(model));
  const found = name === undefined ? all : all.filter((model) => model.name === name);
  if (found.length === 1) {
    exchange.model = { name: found[0]!.name, maxBatch: 0 };
    return found[0]!;
  }
  const names = all.map((model) => model.name).join(", ");
  throw new TenonError("REQUEST_INVALID", {
    problem:
      name !== undefined
        ? `\`${name.slice(0, 128)}\` is not ${what} of this server, which has ${names || "none"}`
        : all.length === 0
          ? `this server has not loaded ${what}`
          : `several models could answer: add ?model= with one of ${names}`,
    details: { status: 400 },
  });
}

function optionsOf({ exchange, times }: Call, fields: Fields): TextOptions {
  const truncate = flagOf(fields, "truncate", false);
  const side = choiceOf(fields, "truncation_direction", ["right", "left", "Right", "Left"] as const);
  const promptName = textOf(fields, "prompt_name");
  exchange.runningSince = performance.now();
  return {
    signal: exchange.signal,
    times,
    truncate: truncate ? (side.toLowerCase() as "right" | "left") : "error",
    ...(promptName === undefined ? {} : { promptName }),
  };
}

async function embed(call: Call, model: VectorModel): Promise<Written> {
  const { fields } = call;
  const { inputs } = inputsOf(fields, "inputs");
  assertSome(inputs);
  const normalize = flagOf(fields, "normalize", true);
  if (!normalize && model.normalized) {
    throw invalid(
      "`normalize` cannot be false: the model itself brings its vectors to length 1",
      "normalize",
    );
  }
  const dimensions = countOf(fields, "dimensions");
  const vectors = await model.embed(inputs, optionsOf(call, fields));
  const cut = dimensions === undefined ? vectors : cutVectors(vectors, dimensions);
  const matrix = normalize && !model.normalized ? unitVectors(cut) : cut;
  const writer = new JsonWriter(matrix.data.length * 12 + 16);
  writer.ascii("[");
  await writeRows(writer, matrix, (_, numbers) => numbers());
  writer.ascii("]");
  return new Written(writer.take());
}

async function embedAll(call: Call, model: VectorModel): Promise<Written> {
  const { fields } = call;
  const { inputs } = inputsOf(fields, "inputs");
  assertSome(inputs);
  const options = optionsOf(call, fields);
  const writer = new JsonWriter();
  writer.ascii("[");
  for (const [at, input] of inputs.entries()) {
    if (typeof input !== "string") throw invalid("`inputs` of /embed_all are texts", "inputs");
    if (at > 0) writer.ascii(",");
    writer.ascii("[");
    await writeRows(writer, await model.embedTokens(input, options), (_, numbers) => numbers());
    writer.ascii("]");
  }
  writer.ascii("]");
  return new Written(writer.take());
}

async function embedSparse(call: Call, model: SparseModel): Promise<object[][]> {
  const { fields } = call;
  const { inputs } = inputsOf(fields, "inputs");
  assertSome(inputs);
  const options = optionsOf(call, fields);
  const texts = inputs.map((input) => {
    if (typeof input !== "string") throw invalid("`inputs` of /embed_sparse are texts", "inputs");
    return input;
  });
  const vectors = await model.embedSparse(texts, options);
  return vectors.map(({ indices, values }) =>
    Array.from(indices, (index, i) => ({ index, value: Number(values[i]!.toPrecision(9)) })),
  );
}

async function similarity(call: Call, model: VectorModel): Promise<number[]> {
  const { fields } = call;
  const { inputs } = fields;
  if (typeof inputs !== "object" || inputs === null) throw invalid("`inputs` is missing", "inputs");
  const source = neededText(inputs as Fields, "source_sentence");
  const sentences = textsOf(inputs as Fields, "sentences");
  assertSome(sentences, "sentences");
  const { parameters = {} } = fields;
  if (parameters !== null && (typeof parameters !== "object" || Array.isArray(parameters)))
    throw invalid("`parameters` is no object", "parameters");
  const options = optionsOf(call, (parameters ?? {}) as Fields);
  const { data, dims } = unitVectors(await model.embed([source, ...sentences], options));
  return sentences.map((_, i) => {
    let dot = 0;
    for (let j = 0; j < dims; j++) dot += data[j]! * data[(i + 1) * dims + j]!;
    return dot;
  });
}

async function rerank(call: Call, model: ScoreModel): Promise<object[]> {
  const { fields } = call;
  const query = neededText(fields, "query");
  const texts = textsOf(fields, "texts");
  assertSome(texts, "texts");
  const rawScores = flagOf(fields, "raw_scores", false);
  const withText = flagOf(fields, "return_text", false);
  const hits = await model.rank(query, texts, { ...optionsOf(call, fields), rawScores });
  return hits.map(({ index, score }) => ({ index, score, ...(withText ? { text: texts[index] } : {}) }));
}

async function predict(call: Call, model: ScoreModel): Promise<object[] | object[][]> {
  const { fields } = call;
  const { inputs, single } = predictInputs(fields.inputs);
  assertSome(inputs);
  const rawScores = flagOf(fields, "raw_scores", false);
  const answers = await model.classify(inputs, { ...optionsOf(call, fields), rawScores });
  return single ? [...answers[0]!] : answers.map((answer) => [...answer]);
}

/** `"a"` and `["a","b"]` (a pair) are one input; `[["a"],["a","b"]]` are several. */
function predictInputs(value: unknown): {
  readonly inputs: readonly (string | readonly [string, string])[];
  readonly single: boolean;
} {
  const isTexts = (item: unknown): item is string[] =>
    Array.isArray(item) &&
    item.every((text) => typeof text === "string") &&
    item.length >= 1 &&
    item.length <= 2;
  const one = (texts: readonly string[]): string | readonly [string, string] =>
    texts.length === 1 ? texts[0]! : [texts[0]!, texts[1]!];
  if (typeof value === "string") return { inputs: [value], single: true };
  if (isTexts(value)) return { inputs: [one(value)], single: true };
  if (Array.isArray(value) && value.every(isTexts)) return { inputs: value.map(one), single: false };
  throw invalid(
    "`inputs` is neither a text, a pair of texts, nor an array of arrays of one or two",
    "inputs",
  );
}

function tokenize({ fields, times }: Call, model: TextModel): unknown {
  const { inputs } = inputsOf(fields, "inputs");
  assertSome(inputs);
  const special = flagOf(fields, "add_special_tokens", true);
  const promptName = textOf(fields, "prompt_name");
  const start = performance.now();
  const tokens = inputs.map((input) => {
    if (typeof input !== "string") throw invalid("`inputs` of /tokenize are texts", "inputs");
    return model.tokenize(input, { special, ...(promptName === undefined ? {} : { promptName }) });
  });
  times.texts = inputs.length;
  times.tokenizeMs = performance.now() - start;
  return tokens;
}

function decode(fields: Fields, model: TextModel): string[] {
  const { ids } = fields;
  const skip = flagOf(fields, "skip_special_tokens", true);
  const isIds = (value: unknown): value is number[] =>
    Array.isArray(value) && value.every((id) => Number.isInteger(id) && id >= 0);
  if (isIds(ids)) return [model.decode(ids, skip)];
  if (Array.isArray(ids) && ids.every(isIds)) return ids.map((list) => model.decode(list, skip));
  throw invalid("`ids` is neither an array of token ids nor an array of such arrays", "ids");
}

function infoOf(model: TextModel, version: string): object {
  const labels = "labels" in model ? model.labels : [];
  const names = {
    id2label: Object.fromEntries(labels.map((label, id) => [String(id), label])),
    label2id: Object.fromEntries(labels.map((label, id) => [label, id])),
  };
  return {
    model_id: model.name,
    model_sha: null,
    model_dtype: model.dtype,
    model_type:
      model.kind === "embedding"
        ? { embedding: { pooling: model.pooling } }
        : model.kind === "sparse"
          ? { embedding: { pooling: "splade" } }
          : { [model.kind]: names },
    max_concurrent_requests: 512,
    max_input_length: model.maxTokens,
    max_batch_tokens: model.batchTokens,
    max_batch_requests: null,
    max_client_batch_size: 1_000_000,
    auto_truncate: false,
    tokenization_workers: 1,
    version,
    sha: null,
    docker_label: null,
  };
}

function assertSome(inputs: readonly unknown[], field = "inputs"): void {
  if (inputs.length > 0) return;
  throw new TenonError("REQUEST_INVALID", {
    problem: `\`${field}\` cannot be empty`,
    details: { empty: true },
  });
}

async function answered(exchange: Exchange, answer: Answer, hasBody = true): Promise<void> {
  const start = performance.now();
  try {
    const fields = hasBody ? await readFields(exchange) : {};
    const times: TextTimes = { texts: 0 };
    const value = await answer({ fields, exchange, times });
    const headers = [
      ...JSON_HEADERS,
      "x-total-time",
      wholeMs(performance.now() - start),
      ...timeHeaders(times),
    ];
    const body = value instanceof Written ? value.bytes : Buffer.from(JSON.stringify(value));
    exchange.answer(200, headers, [body]);
  } catch (thrown) {
    const error = toTenonError(thrown);
    const [kind, status] =
      error.details.empty === true
        ? (["Empty", 400] as const)
        : error.details.status === 400
          ? (["Validation", 400] as const)
          : kindOf(error.code);
    if (STATUS[error.code] === 500 && kind === "Backend")
      exchange.exchanges.settings.log?.error(
        { id: exchange.id, code: error.code, err: error },
        error.message,
      );
    const text = error.details.tei === true ? error.problem : messageOf(error, exchange);
    exchange.answer(
      status,
      JSON_HEADERS,
      [Buffer.from(JSON.stringify({ error: text, error_type: kind }))],
      error.code,
    );
  }
}
