/** The routes of the trace and logging extensions. */
import { TenonError } from "../../base/index.js";
import { checkAnnouncedLength, readBody } from "../http/body.js";
import type { Exchange, HeaderList } from "../http/exchange.js";
import type { Route } from "../http/router.js";
import type { TraceValue } from "../observe/trace-settings.js";
import { extensionOff, type OipServer } from "./server.js";

const JSON_HEADERS: HeaderList = ["Content-Type", "application/json"];
const MOST_BYTES = 64 * 1024;

export function settingsRoutes({ traces, logs, repository }: OipServer): readonly Route[] {
  const json = (exchange: Exchange, value: object): void =>
    exchange.answer(200, JSON_HEADERS, [Buffer.from(JSON.stringify(value))]);

  const known = (model: string | undefined): string | undefined => {
    if (!traces.enabled) throw extensionOff("trace");
    return model === undefined || model === "" ? undefined : repository.get(model).name;
  };
  const trace: Route["run"] = (exchange, { model }) => json(exchange, traces.get(known(model)));
  const setTrace: Route["run"] = async (exchange, { model }) => {
    const name = known(model);
    const changes = new Map<string, TraceValue | null>();
    for (const [key, value] of await readObject(exchange)) {
      const texts = typeof value === "number" ? String(value) : value;
      const list = Array.isArray(texts) && texts.every((text) => typeof text === "string");
      if (texts !== null && typeof texts !== "string" && !list) {
        throw new TenonError("REQUEST_INVALID", {
          problem: `trace setting '${key.slice(0, 64)}' is no text, list of texts or null`,
        });
      }
      changes.set(key, texts as TraceValue | null);
    }
    json(exchange, traces.update(name, changes));
  };

  const log: Route["run"] = (exchange) => {
    if (!logs.enabled) throw extensionOff("logging");
    json(exchange, logs.get());
  };
  const setLog: Route["run"] = async (exchange) => {
    if (!logs.enabled) throw extensionOff("logging");
    json(exchange, logs.update(await readObject(exchange)));
  };

  // biome-ignore format: a table is read by columns
  return [
    { method: "GET",  path: "/v2/trace/setting",                 run: trace },
    { method: "POST", path: "/v2/trace/setting",                 run: setTrace },
    { method: "GET",  path: "/v2/models/{model}/trace/setting",  run: trace },
    { method: "POST", path: "/v2/models/{model}/trace/setting",  run: setTrace },
    { method: "GET",  path: "/v2/logging",                       run: log },
    { method: "POST", path: "/v2/logging",                       run: setLog },
  ];
}

/** The members of a small JSON object; none of an empty body. */
async function readObject(exchange: Exchange): Promise<ReadonlyMap<string, unknown>> {
  const { settings, bodies } = exchange.exchanges;
  checkAnnouncedLength(exchange.req, MOST_BYTES);
  const body = await readBody(exchange.req, {
    maxBytes: MOST_BYTES,
    maxChunks: settings.bodyChunks,
    headerLength: undefined,
    pool: bodies,
  });
  exchange.bytesIn = body.length;
  if (body.length === 0) return new Map();
  let parsed: unknown;
  try {
    parsed = JSON.parse(body.toString("utf8"));
  } catch {
    throw new TenonError("REQUEST_INVALID", { problem: "failed to parse the request JSON buffer" });
  }
  if (typeof parsed !== "object" || parsed === null || Array.isArray(parsed))
    throw new TenonError("REQUEST_INVALID", { problem: "The document is not an object" });
  return new Map(Object.entries(parsed));
}
