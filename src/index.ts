/** tenon: the short public surface; each layer has a subpath of its own. */
export { TenonError } from "./base/index.js";
export {
  Engine,
  type EngineOptions,
  type Inputs,
  type LoadOptions,
  type Model,
  type Outputs,
  type RunOptions,
} from "./runtime/index.js";
export { Tensor } from "./tensor/index.js";
