/** The routes that tell of models: configuration and statistics; metrics; and shared memory, which is off. */
import type { Model } from "../../runtime/index.js";
import { configOf } from "../config/model-config.js";
import type { HeaderList } from "../http/exchange.js";
import { modelRows, type Route } from "../http/router.js";
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

  return [
    ...modelRows("GET", "/config", config),
    ...modelRows("GET", "/stats", stats),
    { method: "GET", path: "/v2/models/stats", run: allStats },
    { method: "GET", path: "/metrics", run: metrics, whileDraining: true },
    ...["system", "cuda"].flatMap((kind): Route[] => [
      { method: "GET", path: `/v2/${kind}sharedmemory/status`, run: noRegions },
      { method: "POST", path: `/v2/${kind}sharedmemory/unregister`, run: nothing },
      { method: "POST", path: `/v2/${kind}sharedmemory/region/{model}/unregister`, run: nothing },
      { method: "POST", path: `/v2/${kind}sharedmemory/region/{model}/register`, run: noMemory },
    ]),
  ];
}
