/** The routes of the model repository extension: index, load, unload. */
import { TenonError } from "../../base/index.js";
import type { Exchange } from "../http/exchange.js";
import { answerJson } from "../http/json-body.js";
import type { Route } from "../http/router.js";
import type { RouteDoc } from "../openapi/route-doc.js";
import { overrideOf } from "../repository/load-override.js";
import type { ModelRepository } from "../repository/repository.js";
import { readMembers } from "./json-members.js";
import { booleanParameter } from "./request-parameters.js";
import { failedLoadText } from "./server.js";

const INDEX: RouteDoc = {
  summary: "Which models are there, and why others are not.",
  body: "IndexRequest",
  answer: "RepositoryIndex",
};
const LOAD: RouteDoc = {
  summary: "Loads a model, or its files anew.",
  body: "LoadRequest",
  fails: ["MODEL_CONTROL_OFF", "MODEL_INVALID"],
};
const UNLOAD: RouteDoc = { summary: "Unloads a model.", body: "UnloadRequest", fails: ["MODEL_CONTROL_OFF"] };

/** Loading and unloading are refused unless the repository is under explicit control. */
export function repositoryRoutes(repository: ModelRepository): readonly Route[] {
  const index: Route["run"] = async (exchange) => {
    const ready = booleanParameter(await readMembers(exchange, "ready"), "ready") ?? false;
    answerJson(exchange, await repository.index(ready));
  };

  const load: Route["run"] = async (exchange, { model }) => {
    if (!repository.explicit) throw new TenonError("MODEL_CONTROL_OFF");
    const parameters = await readMembers(exchange, "parameters", exchange.exchanges.settings.bodyMax);
    const override = overrideOf(parameters, base64Of);
    try {
      await repository.load(model, override);
    } catch (thrown) {
      answerFailure(exchange, model, thrown);
      return;
    }
    exchange.answer(200, [], []);
  };

  const unload: Route["run"] = async (exchange, { model }) => {
    if (!repository.explicit) throw new TenonError("MODEL_CONTROL_OFF");
    const dependents = booleanParameter(await readMembers(exchange, "parameters"), "unload_dependents");
    repository.unload(model, dependents);
    exchange.answer(200, [], []);
  };

  // biome-ignore format: a table is read by columns
  return [
    { method: "POST", path: "/v2/repository/index",                  run: index,  doc: INDEX },
    { method: "POST", path: "/v2/repository/{model}/index",          run: index,  doc: INDEX },
    { method: "POST", path: "/v2/repository/models/{model}/load",    run: load,   doc: LOAD },
    { method: "POST", path: "/v2/repository/models/{model}/unload",  run: unload, doc: UNLOAD },
  ];
}

function answerFailure(exchange: Exchange, model: string, thrown: unknown): void {
  const { text, absent, error } = failedLoadText(model, thrown);
  exchange.exchanges.settings.log?.error({ model, code: error.code, err: error }, "model not loaded");
  answerJson(exchange, { error: text }, absent ? 500 : 400, error.code);
}

/** Files travel as base64 in JSON. */
function base64Of(key: string, value: unknown): Uint8Array {
  if (typeof value === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(value)) return Buffer.from(value, "base64");
  throw new TenonError("REQUEST_INVALID", {
    problem: `failed to load: '${key.slice(0, 128)}' is not base64`,
  });
}
