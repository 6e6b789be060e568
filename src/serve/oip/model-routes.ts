/** The routes that tell of models: configuration and statistics; metrics; and shared memory, which is off. */
import type { Model } from "../../runtime/index.js";
import { configOf } from "../config/model-config.js";
import type { HeaderList } from "../http/exchange.js";
import type { Route } from "../http/router.js";
import { METRICS_TYPE, metricsPage } from "../metrics/prometheus.js";
import { statisticsOf } from "../metrics/statistics.js";
import { noSharedMemory } from "./request.js";
import type { OipServer } from "./server.js";

const JSON_HEADERS: HeaderList = ["Content-Type", "application/json"];

export function modelRoutes({ engine, repository }: OipServer): readonly Route[] {
  const config: Route["run"] = (exchange, { model, version }) =>
    exchange.answer(200, JSON_HEADERS, [JSON.stringify(configOf(repository.get(model, version)))]);

  const statsOf = (models: readonly Model[]): string =>
    JSON.stringify({ model_stats: models.map((model) => statisticsOf(model).snapshot()) });

  const stats: Route["run"] = (exchange, { model, version }) =>
    exchange.answer(200, JSON_HEADERS, [statsOf([repository.get(model, version)])]);

  const allStats: Route["run"] = (exchange) => exchange.answer(200, JSON_HEADERS, [statsOf(engine.models())]);

  const metrics: Route["run"] = (exchange) =>
    exchange.answer(200, ["Content-Type", METRICS_TYPE], [metricsPage(engine)]);

  const noRegions: Route["run"] = (exchange) => exchange.answer(200, JSON_HEADERS, ["[]"]);
  // Clients unregister everything when they start.
  const nothing: Route["run"] = (exchange) => exchange.answer(200, [], []);
  const noMemory: Route["run"] = () => {
    throw noSharedMemory();
  };

  // biome-ignore format: a table is read by columns
  return [
    { method: "GET",  path: "/v2/models/{model}/config",                     run: config },
    { method: "GET",  path: "/v2/models/{model}/versions/{version}/config",  run: config },
    { method: "GET",  path: "/v2/models/stats",                              run: allStats },
    { method: "GET",  path: "/v2/models/{model}/stats",                      run: stats },
    { method: "GET",  path: "/v2/models/{model}/versions/{version}/stats",   run: stats },
    { method: "GET",  path: "/metrics",                                      run: metrics, whileDraining: true },
    { method: "GET",  path: "/v2/systemsharedmemory/status",                 run: noRegions },
    { method: "GET",  path: "/v2/cudasharedmemory/status",                   run: noRegions },
    { method: "POST", path: "/v2/systemsharedmemory/unregister",             run: nothing },
    { method: "POST", path: "/v2/cudasharedmemory/unregister",               run: nothing },
    { method: "POST", path: "/v2/systemsharedmemory/region/{model}/unregister", run: nothing },
    { method: "POST", path: "/v2/cudasharedmemory/region/{model}/unregister",   run: nothing },
    { method: "POST", path: "/v2/systemsharedmemory/region/{model}/register",   run: noMemory },
    { method: "POST", path: "/v2/cudasharedmemory/region/{model}/register",     run: noMemory },
  ];
}
