/** The routes that tell of models: configuration and statistics; and metrics. */
import { configJson } from "../config/complete.js";
import { answerJson } from "../http/json-body.js";
import { modelRows, type Route } from "../http/router.js";
import { METRICS_TYPE, metricsPage } from "../metrics/prometheus.js";
import { statisticsOf } from "../metrics/statistics.js";
import type { RouteDoc } from "../openapi/route-doc.js";
import type { ServedModel } from "../served-model.js";
import { countedModel, type OipServer } from "./server.js";

const STATS: RouteDoc = { summary: "What models have done.", answer: "ModelStatistics" };
const METRICS: RouteDoc = { summary: "The same for Prometheus.", text: METRICS_TYPE };

export function modelRoutes({ repository, processes }: OipServer): readonly Route[] {
  const config: Route["run"] = (exchange, { model, version }) =>
    answerJson(exchange, configJson(repository.get(model, version)));

  const statsOf = (models: readonly ServedModel[]): object => ({
    model_stats: models.map((model) => statisticsOf(model).snapshot()),
  });

  const stats: Route["run"] = (exchange, { model, version }) =>
    answerJson(exchange, statsOf([countedModel(repository, model, version)]));

  const allStats: Route["run"] = (exchange) => answerJson(exchange, statsOf(repository.models()));

  const metrics: Route["run"] = (exchange) =>
    exchange.answer(200, ["Content-Type", METRICS_TYPE], [metricsPage(repository.models(), processes)]);

  return [
    ...modelRows("GET", "/config", config, { summary: "A model's configuration.", answer: "ModelConfig" }),
    ...modelRows("GET", "/stats", stats, STATS),
    { method: "GET", path: "/v2/models/stats", run: allStats, doc: STATS },
    { method: "GET", path: "/metrics", run: metrics, whileDraining: true, doc: METRICS },
  ];
}
