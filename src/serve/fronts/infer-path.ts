/** The paths on which models run, as the server's own routes have them. */
import { modelRows, Router } from "../http/router.js";

const router = new Router(modelRows("POST", "/infer", () => undefined, { summary: "" }));

/** True for the path, without its query, of a model's infer route. */
export function isInferPath(path: string): boolean {
  return router.knows(path);
}
