/** The routes of the Open Inference Protocol v2. To add one, add a row. */
import { answerJson } from "../http/json-body.js";
import { modelRows, type Route } from "../http/router.js";
import { generate } from "./generate.js";
import { infer } from "./infer.js";
import { modelRoutes } from "./model-routes.js";
import { modelMetadataOf } from "./model-wire.js";
import { repositoryRoutes } from "./repository-routes.js";
import { rolloutRoutes } from "./rollout-routes.js";
import { type OipServer, serverMetadataOf } from "./server.js";
import { settingsRoutes } from "./settings-routes.js";
import { sharedMemoryRoutes } from "./shared-memory-routes.js";

/** The route table of one server. */
export function oipRoutes(server: OipServer): readonly Route[] {
  const { repository } = server;
  const serverMetadata: Route["run"] = (exchange) => answerJson(exchange, serverMetadataOf(server));

  const live: Route["run"] = (exchange) => answerJson(exchange, { live: true, ready: true });

  const ready: Route["run"] = (exchange) => {
    const isReady = !exchange.exchanges.draining && server.isReady();
    answerJson(exchange, { live: true, ready: isReady }, isReady ? 200 : 400);
  };

  const metadata: Route["run"] = async (exchange, params) => {
    await repository.wake(params.model);
    const { model, version } = params;
    answerJson(exchange, modelMetadataOf(repository.models(), repository.get(model, version)));
  };

  const modelReady: Route["run"] = (exchange, params) => {
    if (repository.isReady(params.model, params.version)) exchange.answer(200, [], []);
    else answerJson(exchange, { error: "Model version not ready" }, 400, "MODEL_NOT_FOUND");
  };

  const runInfer: Route["run"] = (exchange, { model, version }) =>
    infer(exchange, repository.finder(model, version), server);

  const generateOf =
    (streamed: boolean): Route["run"] =>
    (exchange, { model, version }) =>
      generate(exchange, repository.finder(model, version), streamed);

  return [
    { method: "GET", path: "/v2", run: serverMetadata },
    { method: "GET", path: "/v2/health/live", run: live, whileDraining: true, open: true },
    { method: "GET", path: "/v2/health/ready", run: ready, whileDraining: true, open: true },
    ...modelRows("GET", "", metadata),
    ...modelRows("GET", "/ready", modelReady),
    ...modelRows("POST", "/infer", runInfer),
    ...modelRows("POST", "/generate", generateOf(false)),
    ...modelRows("POST", "/generate_stream", generateOf(true)),
    ...modelRoutes(server),
    ...sharedMemoryRoutes(server.memory),
    ...repositoryRoutes(repository),
    ...settingsRoutes(server),
    ...rolloutRoutes(repository),
  ];
}
