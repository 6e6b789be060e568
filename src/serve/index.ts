/** tenon/serve: models behind HTTP, in the dialect of the Open Inference Protocol v2. */

export { byNeed } from "./config/entry-config.js";
export { createHandler, type Handler } from "./http/handler.js";
export { paceCollector } from "./http/heap.js";
export { type Closed, preloadServer, type RunningServer, type ServeOptions, serve } from "./http/server.js";
export type { HandlerOptions } from "./http/settings.js";
export type { FloatFormat } from "./json/writer.js";
export { type LogSwitches, type ServeLog, ServerLog } from "./observe/server-log.js";
export {
  type InferInput,
  type InferOutput,
  type InferRequest,
  parseInferRequest,
} from "./oip/request.js";
export type { Parameters, ParameterValue } from "./oip/request-parameters.js";
export type { IndexRow, ModelState } from "./repository/notes.js";
export { ModelRepository, type RepositoryOptions } from "./repository/repository.js";
export type { RepositoryEntry } from "./repository/repository-entry.js";
export { RepositoryWatch, type WatchOptions } from "./repository/repository-watch.js";
export type { ServedModel } from "./served-model.js";
export type {
  ScoreModel,
  SparseModel,
  TextInput,
  TextModel,
  TextModelBase,
  TextModels,
  TextOptions,
  TextToken,
  TextVectors,
  VectorModel,
} from "./texts/model.js";
