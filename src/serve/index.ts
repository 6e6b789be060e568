/** tenon/serve: models behind HTTP, in the dialect of the Open Inference Protocol v2. */
export { createHandler, type Handler } from "./http/handler.js";
export { type RunningServer, type ServeOptions, serve } from "./http/server.js";
export type { HandlerOptions, ServeLog } from "./http/settings.js";
