/** tenon/runtime: models loaded and run through the C API of ONNX Runtime. */
export type { Signature, SignatureDim, ValueSignature } from "./signature.js";
