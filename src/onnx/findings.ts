/** The light part of tenon/onnx: what preflight can say of a model, for those who pass it on and read no graph. */
export {
  FINDINGS,
  type Finding,
  PREFLIGHT_VERSION,
  refusal,
  underTrust,
} from "./preflight/finding.js";
