/** The routes of the Open Inference Protocol v2. To add one, add a row. */

import { answerJson } from "../http/json-body.js";
import { modelRows, type Route } from "../http/router.js";
import { type RouteDoc, RUN_FAILS } from "../openapi/route-doc.js";
import { generate } from "./generate.js";
import { infer } from "./infer.js";
import { modelRoutes } from "./model-routes.js";
import { modelMetadataOf } from "./model-wire.js";
import { repositoryRoutes } from "./repository-routes.js";
import { rolloutRoutes } from "./rollout-routes.js";
import { type OipServer, serverMetadataOf } from "./server.js";
import { settingsRoutes } from "./settings-routes.js";
import { sharedMemoryRoutes } from "./shared-memory-routes.js";

const SERVER: RouteDoc = { summary: "What the server is and can do.", answer: "ServerMetadata" };
const LIVE: RouteDoc = { summary: "Whether the server answers.", answer: "Health" };
const READY: RouteDoc = { summary: "Whether all models answer.", answer: "Health", also: { 400: "Health" } };
const MODEL: RouteDoc = {
  summary: "A model's versions, inputs and outputs.",
  answer: "ModelMetadata",
  fails: ["MODEL_UNSUPPORTED"],
};
const MODEL_READY: RouteDoc = { summary: "Whether a model answers." };
const INFER: RouteDoc = {
  summary: "Runs a model.",
  body: "InferRequest",
  bodyNeeded: true,
  binary: true,
  answer: "InferAnswer",
  fails: RUN_FAILS,
};
const GENERATE: RouteDoc = {
  summary: "Runs a model on flat JSON.",
  body: "GenerateRequest",
  bodyNeeded: true,
  fails: RUN_FAILS,
};

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
    { method: "GET", path: "/v2", run: serverMetadata, doc: SERVER },
    { method: "GET", path: "/v2/health/live", run: live, whileDraining: true, open: true, doc: LIVE },
    { method: "GET", path: "/v2/health/ready", run: ready, whileDraining: true, open: true, doc: READY },
    ...modelRows("GET", "", metadata, MODEL),
    ...modelRows("GET", "/ready", modelReady, MODEL_READY),
    ...modelRows("POST", "/infer", runInfer, INFER),
    ...modelRows("POST", "/generate", generateOf(false), { ...GENERATE, answer: "GenerateAnswer" }),
    ...modelRows("POST", "/generate_stream", generateOf(true), { ...GENERATE, text: "text/event-stream" }),
    ...modelRoutes(server),
    ...sharedMemoryRoutes(server.memory),
    ...repositoryRoutes(repository),
    ...settingsRoutes(server),
    ...rolloutRoutes(repository),
  ];
}
