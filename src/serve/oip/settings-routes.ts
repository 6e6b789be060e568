/** The routes of the trace and logging extensions. */
import { TenonError } from "../../base/index.js";
import { answerJson } from "../http/json-body.js";
import type { Route } from "../http/router.js";
import type { TraceValue } from "../observe/trace-settings.js";
import type { RouteDoc } from "../openapi/route-doc.js";
import { readObject } from "./json-members.js";
import { extensionOff, type OipServer } from "./server.js";

const TRACE: RouteDoc = {
  summary: "Which requests are traced.",
  answer: "TraceSettings",
  fails: ["REQUEST_UNSUPPORTED"],
};
const SET_TRACE: RouteDoc = { ...TRACE, summary: "Sets which requests are traced.", body: "TraceChanges" };
const LOG: RouteDoc = { summary: "What is logged.", answer: "LogSettings", fails: ["REQUEST_UNSUPPORTED"] };
const SET_LOG: RouteDoc = { ...LOG, summary: "Sets what is logged.", body: "LogChanges" };

export function settingsRoutes({ traces, logs, repository }: OipServer): readonly Route[] {
  const known = (model: string | undefined): string | undefined => {
    if (!traces.enabled) throw extensionOff("trace");
    return model === undefined || model === "" ? undefined : repository.get(model).name;
  };
  const trace: Route["run"] = (exchange, { model }) => answerJson(exchange, traces.get(known(model)));
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
    answerJson(exchange, traces.update(name, changes));
  };

  const log: Route["run"] = (exchange) => {
    if (!logs.enabled) throw extensionOff("logging");
    answerJson(exchange, logs.get());
  };
  const setLog: Route["run"] = async (exchange) => {
    if (!logs.enabled) throw extensionOff("logging");
    answerJson(exchange, logs.update(await readObject(exchange)));
  };

  // biome-ignore format: a table is read by columns
  return [
    { method: "GET",  path: "/v2/trace/setting",                 run: trace,    doc: TRACE },
    { method: "POST", path: "/v2/trace/setting",                 run: setTrace, doc: SET_TRACE },
    { method: "GET",  path: "/v2/models/{model}/trace/setting",  run: trace,    doc: TRACE },
    { method: "POST", path: "/v2/models/{model}/trace/setting",  run: setTrace, doc: SET_TRACE },
    { method: "GET",  path: "/v2/logging",                       run: log,      doc: LOG },
    { method: "POST", path: "/v2/logging",                       run: setLog,   doc: SET_LOG },
  ];
}
