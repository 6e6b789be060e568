/** Tensors without arithmetic and files: what code needs that only passes them on, and waits for less. */

export { gatherInto } from "./copy.js";
export {
  allocateStorage,
  byteLengthOf,
  DTYPES,
  type DType,
  dtypeFromOnnx,
  dtypeFromOrt,
  dtypeInfo,
  isDType,
  type NumericArray,
  parseDType,
  storageLengthOf,
  viewStorage,
} from "./dtype.js";
export { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "./float16.js";
export { denseLayout, sizeOf } from "./layout.js";
export { tensor, tensorFromBytes, tensorFromStorage, zeros } from "./make.js";
export type { Storage } from "./storage.js";
export { StringStorage } from "./strings.js";
export { type NestedArray, Tensor } from "./tensor.js";
