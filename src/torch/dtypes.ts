/** PyTorch's names and numbers of element types, as tables onto ours. */
import type { DType } from "../tensor/index.js";

/** A dtype that a tensor of PyTorch can have. */
export type TorchDType = Exclude<DType, "string">;

/** `torch.<name>` → dtype. */
export const TORCH_DTYPES: Readonly<Record<string, TorchDType>> = {
  float64: "float64",
  double: "float64",
  float32: "float32",
  float: "float32",
  float16: "float16",
  half: "float16",
  bfloat16: "bfloat16",
  float8_e4m3fn: "float8e4m3fn",
  float8_e5m2: "float8e5m2",
  float8_e4m3fnuz: "float8e4m3fnuz",
  float8_e5m2fnuz: "float8e5m2fnuz",
  float8_e8m0fnu: "float8e8m0",
  int64: "int64",
  long: "int64",
  int32: "int32",
  int: "int32",
  int16: "int16",
  short: "int16",
  int8: "int8",
  uint8: "uint8",
  uint16: "uint16",
  uint32: "uint32",
  uint64: "uint64",
  bool: "bool",
  complex64: "complex64",
  cfloat: "complex64",
  complex128: "complex128",
  cdouble: "complex128",
};

/** `torch.<name>Storage` → dtype. */
export const STORAGE_DTYPES: Readonly<Record<string, TorchDType>> = {
  DoubleStorage: "float64",
  FloatStorage: "float32",
  HalfStorage: "float16",
  BFloat16Storage: "bfloat16",
  LongStorage: "int64",
  IntStorage: "int32",
  ShortStorage: "int16",
  CharStorage: "int8",
  ByteStorage: "uint8",
  BoolStorage: "bool",
  ComplexFloatStorage: "complex64",
  ComplexDoubleStorage: "complex128",
};

/** `torch.<name>` of element types that are refused, with what they are. */
export const REFUSED_DTYPES: ReadonlyMap<string, string> = new Map([
  ...["QInt8Storage", "QUInt8Storage", "QInt32Storage", "QUInt4x2Storage", "QUInt2x4Storage"].map(
    (name) => [name, "a quantised tensor"] as const,
  ),
  ...["qint8", "quint8", "qint32", "quint4x2", "quint2x4"].map(
    (name) => [name, "a quantised tensor"] as const,
  ),
  ...["complex32", "chalf"].map((name) => [name, "a complex tensor of half floats"] as const),
  ...[
    "float4_e2m1fn_x2",
    ...["1", "2", "3", "4", "5", "6", "7"].flatMap((bits) => [`int${bits}`, `uint${bits}`]),
  ].map((name) => [name, "a tensor of packed elements"] as const),
]);

/** Numbers of the export schema's ScalarType → dtype; what is missing is refused. */
export const SCALAR_TYPES: ReadonlyMap<number, TorchDType> = new Map([
  [1, "uint8"],
  [2, "int8"],
  [3, "int16"],
  [4, "int32"],
  [5, "int64"],
  [6, "float16"],
  [7, "float32"],
  [8, "float64"],
  [10, "complex64"],
  [11, "complex128"],
  [12, "bool"],
  [13, "bfloat16"],
  [28, "uint16"],
  [29, "float8e4m3fn"],
  [30, "float8e5m2"],
  [31, "float8e4m3fnuz"],
  [32, "float8e5m2fnuz"],
  [33, "float8e8m0"],
  [34, "uint32"],
  [35, "uint64"],
]);
