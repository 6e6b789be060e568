/** DTYPES: the one table of element types (ONNX IR 13) from which every other name map derives. */
import { suggest, TenonError } from "../base/index.js";

interface TypedArrays {
  readonly Float32Array: Float32Array;
  readonly Float64Array: Float64Array;
  readonly Int8Array: Int8Array;
  readonly Int16Array: Int16Array;
  readonly Int32Array: Int32Array;
  readonly BigInt64Array: BigInt64Array;
  readonly Uint8Array: Uint8Array;
  readonly Uint16Array: Uint16Array;
  readonly Uint32Array: Uint32Array;
  readonly BigUint64Array: BigUint64Array;
}

/** A typed array that can store a tensor. */
export type NumericArray = TypedArrays[keyof TypedArrays];

/** What the arithmetic of a dtype is: chosen by this property, never by the dtype's name. */
export type DTypeKind = "float" | "int" | "uint" | "bool" | "string" | "complex";

interface DTypeRow {
  readonly kind: DTypeKind;
  /** Bits per element; 0 for strings. Below 8 the elements are packed, first element in the low bits. */
  readonly bits: number;
  /** `TensorProto.DataType` of ONNX. */
  readonly onnx: number;
  /** `ONNXTensorElementDataType` of ONNX Runtime's C API; null where it has none. */
  readonly ort: number | null;
  /** Datatype name of the Open Inference Protocol v2; null where it has none. */
  readonly oip: string | null;
  /** numpy's array-protocol type string, little-endian; null where numpy has none. */
  readonly numpy: string | null;
  /** Short form, in printed text only (the command line accepts it as an alias). */
  readonly short: string;
  /** Storage. float16, bfloat16 and the float8 kinds are bit patterns; complex is pairs; strings have none. */
  readonly array: TypedArrayName | null;
}

type TypedArrayName = keyof TypedArrays;

const ARRAYS = {
  Float32Array,
  Float64Array,
  Int8Array,
  Int16Array,
  Int32Array,
  BigInt64Array,
  Uint8Array,
  Uint16Array,
  Uint32Array,
  BigUint64Array,
} as const;

// biome-ignore format: a table is read by columns
export const DTYPES = {
  float64:        { kind: "float",   bits: 64,  onnx: 11, ort: 11,   oip: "FP64",   numpy: "<f8",  short: "f64",    array: "Float64Array" },
  float32:        { kind: "float",   bits: 32,  onnx: 1,  ort: 1,    oip: "FP32",   numpy: "<f4",  short: "f32",    array: "Float32Array" },
  float16:        { kind: "float",   bits: 16,  onnx: 10, ort: 10,   oip: "FP16",   numpy: "<f2",  short: "f16",    array: "Uint16Array" },
  bfloat16:       { kind: "float",   bits: 16,  onnx: 16, ort: 16,   oip: "BF16",   numpy: null,   short: "bf16",   array: "Uint16Array" },
  float8e4m3fn:   { kind: "float",   bits: 8,   onnx: 17, ort: 17,   oip: null,     numpy: null,   short: "f8e4m3", array: "Uint8Array" },
  float8e4m3fnuz: { kind: "float",   bits: 8,   onnx: 18, ort: 18,   oip: null,     numpy: null,   short: "f8e4m3fnuz", array: "Uint8Array" },
  float8e5m2:     { kind: "float",   bits: 8,   onnx: 19, ort: 19,   oip: null,     numpy: null,   short: "f8e5m2", array: "Uint8Array" },
  float8e5m2fnuz: { kind: "float",   bits: 8,   onnx: 20, ort: 20,   oip: null,     numpy: null,   short: "f8e5m2fnuz", array: "Uint8Array" },
  float8e8m0:     { kind: "float",   bits: 8,   onnx: 24, ort: 26,   oip: null,     numpy: null,   short: "f8e8m0", array: "Uint8Array" },
  float6e2m3:     { kind: "float",   bits: 6,   onnx: 27, ort: null, oip: null,     numpy: null,   short: "f6e2m3", array: "Uint8Array" },
  float6e3m2:     { kind: "float",   bits: 6,   onnx: 28, ort: null, oip: null,     numpy: null,   short: "f6e3m2", array: "Uint8Array" },
  float4e2m1:     { kind: "float",   bits: 4,   onnx: 23, ort: 23,   oip: null,     numpy: null,   short: "f4e2m1", array: "Uint8Array" },
  int64:          { kind: "int",     bits: 64,  onnx: 7,  ort: 7,    oip: "INT64",  numpy: "<i8",  short: "i64",    array: "BigInt64Array" },
  int32:          { kind: "int",     bits: 32,  onnx: 6,  ort: 6,    oip: "INT32",  numpy: "<i4",  short: "i32",    array: "Int32Array" },
  int16:          { kind: "int",     bits: 16,  onnx: 5,  ort: 5,    oip: "INT16",  numpy: "<i2",  short: "i16",    array: "Int16Array" },
  int8:           { kind: "int",     bits: 8,   onnx: 3,  ort: 3,    oip: "INT8",   numpy: "|i1",  short: "i8",     array: "Int8Array" },
  int4:           { kind: "int",     bits: 4,   onnx: 22, ort: 22,   oip: null,     numpy: null,   short: "i4",     array: "Uint8Array" },
  int2:           { kind: "int",     bits: 2,   onnx: 26, ort: 25,   oip: null,     numpy: null,   short: "i2",     array: "Uint8Array" },
  uint64:         { kind: "uint",    bits: 64,  onnx: 13, ort: 13,   oip: "UINT64", numpy: "<u8",  short: "u64",    array: "BigUint64Array" },
  uint32:         { kind: "uint",    bits: 32,  onnx: 12, ort: 12,   oip: "UINT32", numpy: "<u4",  short: "u32",    array: "Uint32Array" },
  uint16:         { kind: "uint",    bits: 16,  onnx: 4,  ort: 4,    oip: "UINT16", numpy: "<u2",  short: "u16",    array: "Uint16Array" },
  uint8:          { kind: "uint",    bits: 8,   onnx: 2,  ort: 2,    oip: "UINT8",  numpy: "|u1",  short: "u8",     array: "Uint8Array" },
  uint4:          { kind: "uint",    bits: 4,   onnx: 21, ort: 21,   oip: null,     numpy: null,   short: "u4",     array: "Uint8Array" },
  uint2:          { kind: "uint",    bits: 2,   onnx: 25, ort: 24,   oip: null,     numpy: null,   short: "u2",     array: "Uint8Array" },
  bool:           { kind: "bool",    bits: 8,   onnx: 9,  ort: 9,    oip: "BOOL",   numpy: "|b1",  short: "bool",   array: "Uint8Array" },
  string:         { kind: "string",  bits: 0,   onnx: 8,  ort: 8,    oip: "BYTES",  numpy: null,   short: "str",    array: null },
  complex64:      { kind: "complex", bits: 64,  onnx: 14, ort: 14,   oip: null,     numpy: "<c8",  short: "c64",    array: "Float32Array" },
  complex128:     { kind: "complex", bits: 128, onnx: 15, ort: 15,   oip: null,     numpy: "<c16", short: "c128",   array: "Float64Array" },
} as const satisfies Record<string, DTypeRow>;

export type DType = keyof typeof DTYPES;

/** The typed array that stores a dtype (`never` for strings, which a `StringStorage` holds). */
export type StorageOf<D extends DType> = (typeof DTYPES)[D]["array"] extends infer A
  ? A extends TypedArrayName
    ? TypedArrays[A]
    : never
  : never;

/** One row of the table, with its wide type. */
export function dtypeInfo(dtype: DType): DTypeRow {
  return DTYPES[dtype];
}

const NAMES = Object.keys(DTYPES) as DType[];

export function isDType(name: string): name is DType {
  return Object.hasOwn(DTYPES, name);
}

/** The dtype of a name, or of its short form (`f32`); throws TENSOR_DTYPE with a suggestion. */
export function parseDType(name: string): DType {
  if (isDType(name)) return name;
  const byShort = NAMES.find((dtype) => DTYPES[dtype].short === name);
  if (byShort !== undefined) return byShort;
  throw new TenonError("TENSOR_DTYPE", {
    problem: "unknown dtype",
    given: `"${name}"`,
    expected: suggest(name, NAMES, 40),
  });
}

function inverse<K extends "onnx" | "ort" | "oip" | "numpy">(key: K): Map<(typeof DTYPES)[DType][K], DType> {
  return new Map(
    NAMES.filter((dtype) => DTYPES[dtype][key] !== null).map((dtype) => [DTYPES[dtype][key], dtype]),
  );
}

const BY_ONNX: ReadonlyMap<number, DType> = inverse("onnx");
const BY_ORT = inverse("ort") as ReadonlyMap<number, DType>;
const BY_OIP = inverse("oip") as ReadonlyMap<string, DType>;
const BY_NUMPY = inverse("numpy") as ReadonlyMap<string, DType>;

/** dtype of an ONNX `TensorProto.DataType` code; undefined for unknown codes. */
export function dtypeFromOnnx(code: number): DType | undefined {
  return BY_ONNX.get(code);
}

/** dtype of an `ONNXTensorElementDataType` code; undefined for unknown codes. */
export function dtypeFromOrt(code: number): DType | undefined {
  return BY_ORT.get(code);
}

/** dtype of an Open Inference Protocol datatype (`FP32`); undefined for unknown names. */
export function dtypeFromOip(name: string): DType | undefined {
  return BY_OIP.get(name);
}

/** dtype of numpy's type string (`<f4`); big-endian strings are not in the table. */
export function dtypeFromNumpy(descr: string): DType | undefined {
  return BY_NUMPY.get(descr);
}

/** Least and largest value of an int or uint dtype; [0, 1] for bool, [0, 0] for the others. */
export function integerRange(dtype: DType): readonly [low: bigint, high: bigint] {
  const { kind, bits } = dtypeInfo(dtype);
  const span = 1n << BigInt(bits);
  if (kind === "int") return [-span / 2n, span / 2n - 1n];
  return kind === "uint" ? [0n, span - 1n] : [0n, kind === "bool" ? 1n : 0n];
}

/** Bytes that `elements` dense elements take (packed for the types below 8 bits); 0 for strings. */
export function byteLengthOf(dtype: DType, elements: number): number {
  return Math.ceil((elements * DTYPES[dtype].bits) / 8);
}

/** Typed-array entries that `elements` dense elements take: one each, two for complex, fewer when packed. */
export function storageLengthOf(dtype: DType, elements: number): number {
  const { bits, kind } = DTYPES[dtype];
  if (kind === "complex") return elements * 2;
  return bits < 8 ? Math.ceil((elements * bits) / 8) : elements;
}

/** Zeroed storage for `elements` elements. */
export function allocateStorage(dtype: DType, elements: number): NumericArray {
  const name = dtypeInfo(dtype).array;
  if (name === null) throw new TenonError("TENSOR_DTYPE", { problem: `${dtype} has no typed array` });
  return new ARRAYS[name](storageLengthOf(dtype, elements));
}

/**
 * A typed-array view on bytes, without a copy. `byteOffset` must be a multiple of the element size
 * (RangeError from the platform otherwise); `elements` is a count of tensor elements.
 */
export function viewStorage(
  dtype: DType,
  buffer: ArrayBufferLike,
  byteOffset: number,
  elements: number,
): NumericArray {
  return viewEntries(dtype, buffer, byteOffset, storageLengthOf(dtype, elements));
}

/** As `viewStorage`, with a length in entries of the typed array. */
export function viewEntries(
  dtype: DType,
  buffer: ArrayBufferLike,
  byteOffset: number,
  entries: number,
): NumericArray {
  const name = dtypeInfo(dtype).array;
  if (name === null) throw new TenonError("TENSOR_DTYPE", { problem: `${dtype} has no typed array` });
  const make = ARRAYS[name] as new (
    buffer: ArrayBufferLike,
    byteOffset: number,
    length: number,
  ) => NumericArray;
  return new make(buffer, byteOffset, entries);
}

/** Bytes per entry of the storage array, which is the alignment that a view needs. */
export function storageAlignment(dtype: DType): number {
  const name = dtypeInfo(dtype).array;
  return name === null ? 1 : ARRAYS[name].BYTES_PER_ELEMENT;
}
