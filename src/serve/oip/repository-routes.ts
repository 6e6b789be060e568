/** The routes of the model repository extension: index, load, unload. */
import { TenonError } from "../../base/index.js";
import { checkAnnouncedLength, readBody } from "../http/body.js";
import type { Exchange, HeaderList } from "../http/exchange.js";
import type { Route } from "../http/router.js";
import { BYTE, JsonScanner } from "../json/scanner.js";
import { overrideOf } from "../repository/load-override.js";
import type { ModelRepository } from "../repository/repository.js";
import { readParameters } from "./request.js";
import { booleanParameter, type Parameters } from "./request-parameters.js";
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
    { method: "POST", path: "/v2/repository/index",                  run: index },
    { method: "POST", path: "/v2/repository/{model}/index",          run: index },
    { method: "POST", path: "/v2/repository/models/{model}/load",    run: load },
    { method: "POST", path: "/v2/repository/models/{model}/unload",  run: unload },
  ];
}

function answerFailure(exchange: Exchange, model: string, thrown: unknown): void {
  const { text, absent, error } = failedLoadText(model, thrown);
  exchange.exchanges.settings.log?.error({ model, code: error.code, err: error }, "model not loaded");
  exchange.answer(
    absent ? 500 : 400,
    JSON_HEADERS,
    [Buffer.from(JSON.stringify({ error: text }))],
    error.code,
  );
}

/** Files travel as base64 in JSON. */
function base64Of(key: string, value: unknown): Uint8Array {
  if (typeof value === "string" && /^[A-Za-z0-9+/]*={0,2}$/.test(value)) return Buffer.from(value, "base64");
  throw new TenonError("REQUEST_INVALID", {
    problem: `failed to load: '${key.slice(0, 128)}' is not base64`,
  });
}

/**
 * The scalars that a small JSON body sets: those of its member `member` when that is an object, else the member itself;
 * without `member`, all of its members, which must be scalars. An empty body sets none; further members are ignored.
 */
export async function readMembers(
  exchange: Exchange,
  member: string | undefined,
  maxBytes: number = exchange.exchanges.settings.jsonBodyMax,
): Promise<Parameters> {
  const { settings, bodies } = exchange.exchanges;
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
  if (member === undefined) {
    const all = readParameters(scanner);
    scanner.finish();
    return all;
  }
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
