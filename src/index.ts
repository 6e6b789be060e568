/** tenon: the short public surface; each layer has a subpath of its own. */
export { TenonError } from "./base/index.js";
export { Engine, type Model } from "./runtime/index.js";
