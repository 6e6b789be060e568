/** The routes of the model repository extension: index, load, unload. */
import { TenonError } from "../../base/index.js";
import { checkAnnouncedLength, readBody } from "../http/body.js";
import type { Exchange, HeaderList } from "../http/exchange.js";
import type { Route } from "../http/router.js";
import { BYTE, JsonScanner } from "../json/scanner.js";
import type { ModelRepository } from "../repository.js";
import { booleanParameter, type Parameters, readParameters } from "./request.js";
import { failedLoadText } from "./server.js";

const JSON_HEADERS: HeaderList = ["Content-Type", "application/json"];

/** Loading and unloading are refused unless the repository is under explicit control. */
export function repositoryRoutes(repository: ModelRepository): readonly Route[] {
  const index: Route["run"] = async (exchange) => {
    const ready = booleanParameter(await readMembers(exchange, "ready"), "ready") ?? false;
    exchange.answer(200, JSON_HEADERS, [JSON.stringify(await repository.index(ready))]);
  };

  const load: Route["run"] = async (exchange, { model }) => {
    if (!repository.explicit) throw new TenonError("MODEL_CONTROL_OFF");
    refuseOverrides(await readMembers(exchange, "parameters"));
    try {
      await repository.load(model);
    } catch (thrown) {
      answerFailure(exchange, model, thrown);
      return;
    }
    exchange.answer(200, [], []);
  };

  const unload: Route["run"] = async (exchange, { model }) => {
    if (!repository.explicit) throw new TenonError("MODEL_CONTROL_OFF");
    // There are no models that others depend on, so both values mean the same.
    booleanParameter(await readMembers(exchange, "parameters"), "unload_dependents");
    repository.unload(model);
    exchange.answer(200, [], []);
  };

  // biome-ignore format: a table is read by columns
  return [
    { method: "POST", path: "/v2/repository/index",                  run: index },
    { method: "POST", path: "/v2/repository/{model}/index",          run: index },
    { method: "POST", path: "/v2/repository/models/{model}/load",    run: load },
    { method: "POST", path: "/v2/repository/models/{model}/unload",  run: unload },
  ];
}

function answerFailure(exchange: Exchange, model: string, thrown: unknown): void {
  const { text, absent, error } = failedLoadText(model, thrown);
  exchange.exchanges.settings.log?.error({ model, code: error.code, err: error }, "model not loaded");
  exchange.answer(absent ? 500 : 400, JSON_HEADERS, [JSON.stringify({ error: text })], error.code);
}

function refuseOverrides(parameters: Parameters): void {
  for (const [key, value] of parameters) {
    if (typeof value !== "string") {
      throw new TenonError("REQUEST_INVALID", {
        problem: `parameter '${key.slice(0, 64)}' has invalid type. It should be a string.`,
      });
    }
    if (key === "config" || key.startsWith("file:")) {
      throw new TenonError("REQUEST_UNSUPPORTED", {
        problem: "this server does not take a config or files with a load; it reads its own repository",
      });
    }
  }
}

/**
 * The scalars that a small JSON body sets: those of its member `member` when that is an object, else the members
 * themselves. An empty body sets none; further members are ignored.
 */
async function readMembers(exchange: Exchange, member: string): Promise<Parameters> {
  const { settings, bodies } = exchange.exchanges;
  const maxBytes = settings.jsonBodyMax;
  checkAnnouncedLength(exchange.req, maxBytes);
  const body = await readBody(exchange.req, {
    maxBytes,
    maxChunks: settings.bodyChunks,
    headerLength: undefined,
    pool: bodies,
  });
  exchange.bytesIn = body.length;
  const found = new Map<string, boolean>();
  if (body.length === 0) return found;
  const scanner = new JsonScanner(body, 0, body.length, settings.jsonDepth);
  if (scanner.peek() !== BYTE.openObject) scanner.fail("The document is not an object");
  let parameters: Parameters = found;
  for (let key = scanner.firstKey(); key !== undefined; key = scanner.nextKey()) {
    if (key !== member) scanner.skip();
    else if (scanner.peek() === BYTE.openObject) parameters = readParameters(scanner);
    else {
      const flag = scanner.boolean();
      if (flag !== undefined) found.set(member, flag);
      else scanner.fail(`Member '${member}' has the wrong type`);
    }
  }
  scanner.finish();
  return parameters;
}
