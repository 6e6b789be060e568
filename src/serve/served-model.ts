/** ServedModel: what the protocols need of a model, whether it is one of the engine or made of several. */
import type { Model } from "../runtime/index.js";

export type ServedModel = Pick<
  Model,
  "name" | "version" | "signature" | "maxBatch" | "profile" | "run" | "explain" | "waiting"
>;
