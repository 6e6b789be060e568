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
export { type Element, elementPhrase, readElement, tryWriteElement, writeElement } from "./element.js";
export {
  bfloat16ToNumber,
  type Float16Numbers,
  float16ToNumber,
  float16View,
  numberToBfloat16,
  numberToFloat16,
} from "./float16.js";
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
export {
  type AxisOptions,
  cumsum,
  logSoftmax,
  softmax,
} from "./math/along-axis.js";
export {
  add,
  type BinaryFunction,
  type CompareFunction,
  div,
  equal,
  greater,
  greaterEqual,
  less,
  lessEqual,
  logicalAnd,
  logicalOr,
  logicalXor,
  maximum,
  minimum,
  mod,
  mul,
  notEqual,
  pow,
  sub,
} from "./math/binary.js";
export { cast } from "./math/cast.js";
export { arange, eye, full, linspace, ones, type RangeOptions } from "./math/create.js";
export { concat, type OneHotOptions, oneHot, type PadOptions, pad, stack, take } from "./math/join.js";
export { dot, matmul } from "./math/matmul.js";
export { type NormalizeOptions, normalize, type StandardizeOptions, standardize } from "./math/normalize.js";
export type { Into, Scalar } from "./math/operands.js";
export {
  type ArgOptions,
  argmax,
  argmin,
  argsort,
  type SortOptions,
  sort,
  type TopKOptions,
  topK,
} from "./math/order.js";
export {
  max,
  mean,
  min,
  prod,
  type ReduceOptions,
  std,
  sum,
  type VarianceOptions,
  variance,
} from "./math/reduce.js";
export {
  abs,
  ceil,
  clip,
  cos,
  erf,
  exp,
  expm1,
  floor,
  isInfinite,
  isNan,
  log,
  log1p,
  log2,
  logicalNot,
  neg,
  reciprocal,
  relu,
  round,
  sigmoid,
  sign,
  sin,
  sqrt,
  square,
  type TestFunction,
  tanh,
  trunc,
  type UnaryFunction,
} from "./math/unary.js";
export { where } from "./math/where.js";
export { npyHeader, readNpy, writeNpy } from "./npy/npy.js";
export { type NpzReadOptions, type NpzWriteOptions, readNpz, writeNpz } from "./npy/npz.js";
export type { DataOf, Storage } from "./storage.js";
export { StringStorage } from "./strings.js";
export { type NestedArray, type SliceStep, Tensor } from "./tensor.js";
