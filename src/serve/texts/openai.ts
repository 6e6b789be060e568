/** The dialect of OpenAI: /v1/embeddings and /v1/models, as its clients speak it. */
import {
  type ErrorCode,
  isTenonError,
  TenonError as Problem,
  type TenonError,
  toTenonError,
} from "../../base/index.js";
import type { Engine } from "../../runtime/index.js";
import type { Exchange } from "../http/exchange.js";
import { answerJson } from "../http/json-body.js";
import type { Route } from "../http/router.js";
import { RETRY_AFTER, STATUS } from "../http/status.js";
import { JsonWriter } from "../json/writer.js";
import { type ErrorContext, errorText } from "../oip/errors.js";
import { type ErrorDialect, type RouteDoc, TEXT_FAILS } from "../openapi/route-doc.js";
import type { TextModels, VectorModel } from "./model.js";
import { choiceOf, countOf, inputsOf, neededText, readFields, textOf } from "./request.js";
import { base64Row, cutVectors, writeRows } from "./vectors.js";

const JSON_HEADERS = ["Content-Type", "application/json"];

const DIALECT: ErrorDialect = { schema: "OpenAiError", statusOf: (code) => STATUS[code], bodyOf };
const EMBEDDINGS: RouteDoc = {
  summary: "Vectors of texts, in OpenAI's form.",
  body: "EmbeddingsRequest",
  bodyNeeded: true,
  answer: "Embeddings",
  fails: ["MODEL_NOT_FOUND", ...TEXT_FAILS],
  dialect: DIALECT,
};
const MODELS: RouteDoc = {
  summary: "The models, in OpenAI's form.",
  answer: "OpenAiModels",
  dialect: DIALECT,
};
const MODEL: RouteDoc = { summary: "One of the models.", answer: "OpenAiModel", dialect: DIALECT };

export function openaiRoutes(texts: TextModels, engine: Engine): readonly Route[] {
  const created = Math.floor(Date.now() / 1000);
  const rowOf = (id: string): object => ({ id, object: "model", created, owned_by: "tenon" });
  const names = (): string[] => [...new Set(engine.models().map(({ name }) => name))].sort();
  const models: Route["run"] = (exchange) =>
    answerJson(exchange, { object: "list", data: names().map(rowOf) });
  const model: Route["run"] = (exchange, params) =>
    answered(exchange, async () => {
      if (!names().includes(params.model)) throw unknownModel(params.model, names());
      answerJson(exchange, rowOf(params.model));
    });
  const run: Route["run"] = (exchange) => answered(exchange, () => embeddings(exchange, texts));
  return [
    { method: "POST", path: "/v1/embeddings", run, doc: EMBEDDINGS },
    // Where servers of the other dialect have it.
    { method: "POST", path: "/embeddings", run, doc: EMBEDDINGS },
    { method: "GET", path: "/v1/models", run: models, doc: MODELS },
    { method: "GET", path: "/v1/models/{model}", run: model, doc: MODEL },
  ];
}

async function embeddings(exchange: Exchange, texts: TextModels): Promise<void> {
  const fields = await readFields(exchange);
  const name = neededText(fields, "model");
  const model = embeddingModel(texts, name);
  exchange.model = { name: model.name, maxBatch: 0 };
  const { inputs } = inputsOf(fields, "input");
  const format = choiceOf(fields, "encoding_format", ["float", "base64"] as const);
  const dimensions = countOf(fields, "dimensions");
  const promptName = textOf(fields, "prompt_name");
  exchange.runningSince = performance.now();
  const vectors = await model.embed(inputs, {
    signal: exchange.signal,
    truncate: "right",
    ...(promptName === undefined ? {} : { promptName }),
  });
  const matrix =
    dimensions === undefined || dimensions === vectors.dims ? vectors : cutVectors(vectors, dimensions);
  const writer = new JsonWriter(matrix.data.length * 12 + 256);
  writer.ascii('{"object":"list","data":[');
  await writeRows(writer, matrix, (at, numbers) => {
    writer.ascii('{"object":"embedding","embedding":');
    if (format === "float") numbers();
    else writer.ascii(`"${base64Row(matrix, at)}"`);
    writer.ascii(`,"index":${at}}`);
  });
  const tokens = vectors.tokens.reduce((sum, count) => sum + count, 0);
  writer.ascii('],"model":');
  writer.string(name);
  writer.ascii(`,"usage":{"prompt_tokens":${tokens},"total_tokens":${tokens}}}`);
  exchange.answer(200, JSON_HEADERS, [writer.take()]);
}

function embeddingModel(texts: TextModels, name: string): VectorModel {
  const all = texts.list();
  const found = all.find((model) => model.name === name);
  if (found?.kind === "embedding") return found;
  throw unknownModel(
    name,
    all.filter(({ kind }) => kind === "embedding").map((model) => model.name),
    found === undefined ? "does not exist" : `makes no vectors: it is a ${found.kind} model`,
  );
}

function unknownModel(name: string, names: readonly string[], what = "does not exist"): TenonError {
  return new Problem("MODEL_NOT_FOUND", {
    problem: `The model \`${name.slice(0, 128)}\` ${what}`,
    details: { openai: true, names },
  });
}

async function answered(exchange: Exchange, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (thrown) {
    const error = toTenonError(thrown);
    const status = STATUS[error.code];
    const retry = RETRY_AFTER[error.code];
    if (status === 500)
      exchange.exchanges.settings.log?.error(
        { id: exchange.id, code: error.code, err: error },
        error.message,
      );
    const body = bodyOf(error, messageOf(error, exchange));
    const headers = retry === undefined ? JSON_HEADERS : [...JSON_HEADERS, "Retry-After", String(retry)];
    exchange.answer(status, headers, [Buffer.from(JSON.stringify(body))], error.code);
  }
}

function bodyOf(error: TenonError, message: string): object {
  const status = STATUS[error.code];
  const { field } = error.details;
  return {
    error: {
      message,
      type: status >= 500 ? "server_error" : status === 429 ? "rate_limit_error" : "invalid_request_error",
      param: typeof field === "string" ? field : (PARAMS[error.code] ?? null),
      code: codeOf(error),
    },
  };
}

/** The field that is wrong, of errors that come from a model. */
const PARAMS: Partial<Readonly<Record<ErrorCode, string>>> = {
  MODEL_NOT_FOUND: "model",
  INPUT_VALUE: "input",
  TEXT_TOO_LONG: "input",
  DIMS_MISMATCH: "dimensions",
};

function codeOf(error: TenonError): string | null {
  const codes: Partial<Record<ErrorCode, string>> = {
    REQUEST_UNAUTHORIZED: "invalid_api_key",
    MODEL_NOT_FOUND: "model_not_found",
    TEXT_TOO_LONG: "context_length_exceeded",
    RATE_LIMITED: "rate_limit_exceeded",
  };
  return codes[error.code] ?? null;
}

/** Messages of requests are for the client; those of failures are not. */
export function messageOf(error: TenonError, exchange: Exchange): string {
  if (isTenonError(error, "MODEL_NOT_FOUND") && error.details.openai === true) {
    const names = error.details.names as readonly string[]; // set above
    return `${error.problem}; loaded: ${names.length === 0 ? "none" : names.join(", ")}`;
  }
  if (FOR_CLIENTS.has(error.code)) return error.message;
  const context: ErrorContext = { model: exchange.model?.name ?? "", maxBatch: 0, id: undefined };
  return errorText(error, context);
}

/** Codes whose messages hold nothing but what the request gave. */
const FOR_CLIENTS: ReadonlySet<ErrorCode> = new Set([
  "REQUEST_INVALID",
  "REQUEST_TOO_LARGE",
  "DIMS_MISMATCH",
  "TEXT_TOO_LONG",
  "INPUT_VALUE",
]);
