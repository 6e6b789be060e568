/** tenon/tensor: n-dimensional arrays over shared bytes; loads no native code. */

export { gatherInto } from "./copy.js";
export {
  allocateStorage,
  byteLengthOf,
  DTYPES,
  type DType,
  type DTypeKind,
  dtypeFromNumpy,
  dtypeFromOip,
  dtypeFromOnnx,
  dtypeFromOrt,
  dtypeInfo,
  isDType,
  type NumericArray,
  parseDType,
  type StorageOf,
  storageAlignment,
  storageLengthOf,
  viewStorage,
} from "./dtype.js";
export { type Element, readElement, writeElement } from "./element.js";
export { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "./float16.js";
export {
  broadcastShapes,
  denseLayout,
  denseStrides,
  isDense,
  type Layout,
  normalizeAxis,
  sizeOf,
} from "./layout.js";
export {
  type Nested,
  type TensorOptions,
  type TensorValues,
  tensor,
  tensorFromBytes,
  tensorFromStorage,
  zeros,
} from "./make.js";
export type { DataOf, Storage } from "./storage.js";
export { StringStorage } from "./strings.js";
export { type NestedArray, type SliceStep, Tensor } from "./tensor.js";
