/** tenon/torch: files that PyTorch and its ecosystem wrote, read without Python; nothing in them is executed. */
export type { UnknownCalls } from "./checkpoint.js";
export { type OpenOptions, openWeights } from "./open.js";
export { readSafetensors } from "./safetensors.js";
export { type SafetensorsOptions, saveSafetensors } from "./safetensors-write.js";
export type { ShardOptions } from "./sharded.js";
export {
  byteLength,
  denseBytes,
  elementCount,
  isContiguous,
  type MaterializeOptions,
  materialize,
  type TensorRef,
} from "./tensor-ref.js";
export type { Weights, WeightsFormat } from "./weights.js";
