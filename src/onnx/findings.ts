/** The light part of tenon/onnx: what preflight can say of a model, for those who pass it on and read no graph. */
export {
  FINDINGS,
  type Finding,
  type FindingCode,
  PREFLIGHT_VERSION,
  refusal,
  type Severity,
  type Trust,
  underTrust,
} from "./preflight/finding.js";
