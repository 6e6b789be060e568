/** The OpenAPI 3.1 document, made from the rows of a route table. */
import { ERROR_CODES, type ErrorCode } from "../../base/index.js";
import type { Route } from "../http/router.js";
import { STATUS } from "../http/status.js";
import type { ErrorDialect } from "./route-doc.js";
import type { Schema } from "./schema.js";
import { SCHEMAS, type SchemaName, schemaRef } from "./schemas.js";

const PROTOCOL: ErrorDialect = { schema: "Error", statusOf: (code) => STATUS[code] };

/** What the document says of one server. */
export interface Described {
  readonly routes: readonly Route[];
  readonly version: string;
  /** Whether callers need a key. */
  readonly keyed: boolean;
  /** Bodies of a schema by the model that takes them. */
  readonly examples: Partial<Readonly<Record<SchemaName, Readonly<Record<string, object>>>>>;
}

/** The document, as an object to be written as JSON. */
export function openApiOf(server: Described): Schema {
  const paths: Record<string, Record<string, Schema>> = {};
  for (const route of server.routes) {
    paths[route.path] ??= {};
    paths[route.path]![route.method.toLowerCase()] = operationOf(route, server);
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Tenon",
      version: server.version,
      description:
        "The Open Inference Protocol v2 and its extensions; with models of texts also the routes of OpenAI and " +
        "text-embeddings-inference. Answers that are errors name their code in the header x-tenon-error.",
    },
    ...(server.keyed ? { security: [{ apiKey: [] }] } : {}),
    paths,
    components: {
      schemas: SCHEMAS,
      securitySchemes: { apiKey: { type: "http", scheme: "bearer" } },
    },
  };
}

function operationOf(route: Route, server: Described): Schema {
  const { doc, method, path } = route;
  const { body, bodyNeeded = false, binary = false } = doc;
  const content: Record<string, Schema> = {};
  if (body !== undefined) {
    content["application/json"] = {
      schema: schemaRef(body),
      ...examplesOf(server.examples[body] ?? {}),
    };
  }
  if (binary) content["application/octet-stream"] = { schema: BYTES };
  return {
    operationId: `${method.toLowerCase()}${path.replaceAll(/[^A-Za-z0-9]+/g, "_").replace(/_$/, "")}`,
    summary: doc.summary,
    ...(route.open === true ? { security: [] } : {}),
    parameters: parametersOf(route, Object.keys(server.examples.InferRequest ?? {})),
    ...(body === undefined ? {} : { requestBody: { required: bodyNeeded, content } }),
    responses: responsesOf(route, server.keyed),
  };
}

const BYTES: Schema = { description: "The JSON, and behind it the bytes of the tensors." };

function examplesOf(values: Readonly<Record<string, object>>): Schema {
  const examples = Object.entries(values).map(([name, value]) => [name, { value }]);
  return examples.length === 0 ? {} : { examples: Object.fromEntries(examples) as object };
}

const PLACES: Readonly<Record<string, Schema>> = {
  model: { type: "string", minLength: 1 },
  version: { type: "string", pattern: "^[0-9]{1,18}$" },
  region: { type: "string", minLength: 1 },
};

function parametersOf({ path, doc }: Route, models: readonly string[]): readonly Schema[] {
  const places = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: "path",
    required: true,
    schema: PLACES[name!]!,
    ...(name === "model" && models.length > 0
      ? { examples: Object.fromEntries(models.map((model) => [model, { value: model }])) }
      : {}),
  }));
  const query = (doc.query ?? []).map((name) => ({ name, in: "query", schema: { type: "string" } }));
  const length = {
    name: "Inference-Header-Content-Length",
    in: "header",
    description: "Bytes of the JSON, where tensors follow it.",
    schema: { type: "integer", minimum: 0 },
  };
  return [...places, ...query, ...(doc.binary === true ? [length] : [])];
}

function responsesOf(route: Route, keyed: boolean): Schema {
  const { doc } = route;
  const answers = new Map<number, Set<SchemaName>>();
  const codes = new Map<number, Set<ErrorCode>>();
  const add = (dialect: ErrorDialect, failures: readonly ErrorCode[]): void => {
    for (const code of failures) {
      const status = dialect.statusOf(code);
      answers.set(status, (answers.get(status) ?? new Set()).add(dialect.schema));
      codes.set(status, (codes.get(status) ?? new Set()).add(code));
    }
  };
  const dialect = doc.dialect ?? PROTOCOL;
  add({ ...dialect, statusOf: PROTOCOL.statusOf }, gateFailures(route, keyed));
  add(dialect, routeFailures(route));
  for (const status of dialect.also ?? [])
    answers.set(status, (answers.get(status) ?? new Set()).add(dialect.schema));
  const responses: Record<string, Schema> = {
    200: { description: "Done.", ...contentOf(route) },
    // Headers over their limit are refused before a route is found; the parser's own refusal has no body.
    431: { description: "The headers are too large or too many." },
  };
  for (const [status, schemas] of answers)
    responses[status] = failureOf([...(codes.get(status) ?? [])], [...schemas]);
  for (const [status, schema] of Object.entries(doc.also ?? {})) {
    const errors = [...(answers.get(Number(status)) ?? [])];
    const all = schema === null ? errors : [schema, ...errors];
    responses[status] = { description: "Not now.", ...(all.length === 0 ? {} : json(all)) };
  }
  return responses;
}

function contentOf({ doc }: Route): Schema {
  if (doc.text !== undefined) return { content: { [doc.text]: { schema: { type: "string" } } } };
  if (doc.answer === undefined) return {};
  const { content } = json([doc.answer]);
  return {
    content: {
      ...content,
      ...(doc.binary === true ? { "application/octet-stream": { schema: BYTES } } : {}),
    },
  };
}

function json(names: readonly SchemaName[]): { readonly content: Readonly<Record<string, Schema>> } {
  const schemas = names.map(schemaRef);
  return {
    content: { "application/json": { schema: schemas.length === 1 ? schemas[0]! : { anyOf: schemas } } },
  };
}

function failureOf(codes: readonly ErrorCode[], schemas: readonly SchemaName[]): Schema {
  return {
    description: codes.map((code) => `${code}: ${ERROR_CODES[code]}`).join(" ") || "Refused.",
    headers: { "x-tenon-error": { schema: { type: "string" } } },
    ...json(schemas),
  };
}

/** What may happen before the route is asked; always in the protocol's own words. */
function gateFailures({ open, whileDraining, path }: Route, keyed: boolean): readonly ErrorCode[] {
  return [
    "REQUEST_INVALID",
    "REQUEST_FORBIDDEN",
    ...(keyed && open !== true ? (["REQUEST_UNAUTHORIZED", "RATE_LIMITED"] as const) : []),
    ...(whileDraining === true ? [] : (["SERVER_DRAINING"] as const)),
    ...(path.includes("{") ? (["REQUEST_NOT_FOUND"] as const) : []),
    ...(path.includes("{model}") ? (["MODEL_NOT_FOUND"] as const) : []),
    "INTERNAL",
  ];
}

function routeFailures({ path, doc }: Route): readonly ErrorCode[] {
  const reading = ["REQUEST_INVALID", "REQUEST_TOO_LARGE", "REQUEST_TIMEOUT", "REQUEST_UNSUPPORTED"] as const;
  return [
    ...(doc.body === undefined ? [] : ([...reading, "CANCELLED", "INTERNAL"] as const)),
    ...(path.includes("{model}") ? (["MODEL_NOT_FOUND", "MODEL_UNAVAILABLE"] as const) : []),
    ...(doc.fails ?? []),
  ];
}
