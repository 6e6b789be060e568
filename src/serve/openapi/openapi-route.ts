/** GET /openapi.json: the document of a route table, itself among the routes. */
import type { ValueSignature } from "../../runtime/index.js";
import { dtypeInfo } from "../../tensor/index.js";
import { answerJson } from "../http/json-body.js";
import type { Route } from "../http/router.js";
import type { ServedModel } from "../served-model.js";
import type { TextModel, TextModels } from "../texts/model.js";
import { openApiOf } from "./document.js";

export interface DocumentedServer {
  readonly version: string;
  readonly keyed: boolean;
  readonly models: () => readonly ServedModel[];
  readonly texts: TextModels | undefined;
}

/** Models with an example in the document, and elements of one. */
const MOST_MODELS = 64;
const MOST_ELEMENTS = 1024;

/** The table with the route that describes it. */
export function documented(table: readonly Route[], server: DocumentedServer): readonly Route[] {
  const { version, keyed, models, texts } = server;
  const route: Route = {
    method: "GET",
    path: "/openapi.json",
    doc: { summary: "This document.", answer: "OpenApi" },
    run: (exchange) => {
      const examples = {
        InferRequest: inferExamples(models()),
        EmbeddingsRequest: embeddingExamples(texts?.list() ?? []),
      };
      answerJson(exchange, openApiOf({ routes, version, keyed, examples }));
    },
  };
  const routes = [...table, route];
  return routes;
}

/** Requests of zeros by model; models whose tensors are large, or travel as bytes only, have none. */
function inferExamples(models: readonly ServedModel[]): Readonly<Record<string, object>> {
  const examples = new Map<string, object>();
  for (const { name, signature } of models.slice(0, MOST_MODELS)) {
    const inputs = signature.inputs.map(inputOf);
    if (inputs.every((input) => input !== undefined)) examples.set(name, { inputs });
  }
  return Object.fromEntries(examples);
}

function embeddingExamples(models: readonly TextModel[]): Readonly<Record<string, object>> {
  const embedders = models.filter(({ kind }) => kind === "embedding").slice(0, MOST_MODELS);
  return Object.fromEntries(
    embedders.map(({ name }) => [name, { model: name, input: ["a text", "another"] }]),
  );
}

function inputOf({ name, dtype, dims }: ValueSignature): object | undefined {
  const { oip, kind, bits } = dtypeInfo(dtype);
  const shape = (dims ?? [1]).map((dim) => (typeof dim === "number" ? dim : 1));
  const size = shape.reduce((product, dim) => product * dim, 1);
  if (oip === null || size > MOST_ELEMENTS || (kind === "float" && bits < 32)) return undefined;
  const zero = kind === "string" ? "" : kind === "bool" ? false : 0;
  return { name, datatype: oip, shape, data: new Array(size).fill(zero) };
}
