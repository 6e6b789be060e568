/** Weights: TensorData ↔ Tensor, and the checks that tie a tensor's dims, dtype and bytes together. */
import { formatBytes, TenonError } from "../base/index.js";
import {
  allocateStorage,
  byteLengthOf,
  type DType,
  dtypeInfo,
  StringStorage,
  sizeOf,
  storageLengthOf,
  type Tensor,
  tensorFromBytes,
  tensorFromStorage,
} from "../tensor/core.js";
import type { TensorData, TypedField } from "./graph.js";
import { invalid } from "./invalid.js";
import { type Chunk, chunkLength, readRange } from "./source.js";

/** The typed field of TensorProto that holds each dtype's elements when `raw_data` does not. */
const TYPED_FIELD: { readonly [D in Exclude<DType, "string">]: TypedField } = {
  float64: "doubleData",
  float32: "floatData",
  float16: "int32Data",
  bfloat16: "int32Data",
  float8e4m3fn: "int32Data",
  float8e4m3fnuz: "int32Data",
  float8e5m2: "int32Data",
  float8e5m2fnuz: "int32Data",
  float8e8m0: "int32Data",
  float6e2m3: "int32Data",
  float6e3m2: "int32Data",
  float4e2m1: "int32Data",
  int64: "int64Data",
  int32: "int32Data",
  int16: "int32Data",
  int8: "int32Data",
  int4: "int32Data",
  int2: "int32Data",
  uint64: "uint64Data",
  uint32: "uint64Data",
  uint16: "int32Data",
  uint8: "int32Data",
  uint4: "int32Data",
  uint2: "int32Data",
  bool: "int32Data",
  complex64: "floatData",
  complex128: "doubleData",
};

/** Materialising more than this at once has to be asked for. */
const MAX_BYTES = 64 * 2 ** 20;

/** A weight from a tensor: a view on its bytes when it is dense. */
export function tensorData(tensor: Tensor, name = ""): TensorData {
  const dense = tensor.contiguous();
  const dims = [...tensor.shape];
  if (dense.storage instanceof StringStorage) {
    const storage = dense.storage;
    const strings = Array.from({ length: dense.size }, (_, i) => storage.bytesAt(dense.offset + i));
    return { dtype: tensor.dtype, dims, payload: { in: "stringData", strings }, name };
  }
  return { dtype: tensor.dtype, dims, payload: { in: "raw", bytes: dense.bytes }, name };
}

/**
 * The elements of a weight: a view when its bytes are in memory and aligned, else a copy (files are read now).
 * More than `maxBytes` (default 64 MiB) of copied or read bytes is refused with MODEL_UNSUPPORTED.
 */
export function readTensor(data: TensorData, options: { readonly maxBytes?: number } = {}): Tensor {
  const { dtype, dims, payload } = data;
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  if (payload.in === "stringData") {
    return tensorFromStorage("string", dims, stringStorage(payload.strings));
  }
  if (dtype === "string") throw invalid("a string tensor has no string_data");
  if (payload.in === "external" && payload.range === undefined) {
    throw new TenonError("FILE_NOT_FOUND", {
      problem: "the weight lies in an external file that was not looked up",
      given: payload.entries.get("location") ?? "",
      do: "read the model from its path, or give baseDir",
    });
  }
  const chunk = payload.in === "external" ? payload.range! : payload.bytes;
  if (chunkLength(chunk) > maxBytes && !(chunk instanceof Uint8Array)) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "a weight is larger than may be read at once",
      given: formatBytes(chunkLength(chunk)),
      expected: `at most ${formatBytes(maxBytes)}`,
      do: "raise maxBytes",
    });
  }
  const bytes = chunk instanceof Uint8Array ? chunk : readRange(chunk);
  switch (payload.in) {
    case "int32Data":
    case "int64Data":
    case "uint64Data":
      return fromVarints(dtype, dims, bytes);
    default:
      return tensorFromBytes(dtype, dims, bytes);
  }
}

/** The weight's elements as dense little-endian bytes, unread where they already are that; undefined for strings. */
export function rawBytes(data: TensorData): Chunk | undefined {
  const { payload } = data;
  switch (payload.in) {
    case "raw":
    case "floatData":
    case "doubleData":
      return payload.bytes;
    case "stringData":
      return undefined;
    case "external":
      return payload.range;
    default:
      return readTensor(data, { maxBytes: Number.POSITIVE_INFINITY }).bytes;
  }
}

function stringStorage(strings: readonly Uint8Array[]): StringStorage {
  const offsets = new Uint32Array(strings.length + 1);
  strings.forEach((item, i) => {
    offsets[i + 1] = offsets[i]! + item.byteLength;
  });
  const bytes = new Uint8Array(offsets[strings.length]!);
  strings.forEach((item, i) => void bytes.set(item, offsets[i]));
  return StringStorage.fromBytes(bytes, offsets);
}

function fromVarints(dtype: Exclude<DType, "string">, dims: readonly number[], bytes: Uint8Array): Tensor {
  const target = allocateStorage(dtype, sizeOf(dims));
  let index = 0;
  if (target instanceof BigInt64Array || target instanceof BigUint64Array) {
    eachVarint(bytes, (low, high) => {
      target[index++] = (BigInt(high) << 32n) | BigInt(low);
    });
  } else {
    // The typed array keeps the low bits: that is how a negative int8 or a bit pattern is stored.
    eachVarint(bytes, (low) => {
      target[index++] = low;
    });
  }
  return tensorFromStorage(dtype, dims, target as never);
}

/** Calls `use` with the two unsigned halves of each varint. */
function eachVarint(bytes: Uint8Array, use: (low: number, high: number) => void): void {
  for (let at = 0; at < bytes.length; ) {
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= (bits & 0x0f) << 28;
        high = bits >> 4;
      } else high |= bits << (shift - 32);
      if (byte < 0x80) break;
    }
    use(low >>> 0, high >>> 0);
  }
}

/** Throws MODEL_INVALID unless a tensor's one data field is the right one and as long as its dims say. */
export function checkTensorData(data: TensorData): void {
  if (checked.has(data)) return;
  checkFields(data);
  checked.add(data);
}

/** Tensors that passed: models are checked after every pass, and weights hardly ever change. */
const checked = new WeakSet<TensorData>();

function checkFields(data: TensorData): void {
  const { dtype, dims, payload } = data;
  const size = elements(dims);
  if (payload.in === "stringData") {
    if (dtype !== "string") throw wrongField(data);
    if (payload.strings.length !== size) throw wrongLength(data, payload.strings.length, size, "strings");
    return;
  }
  if (dtype === "string") throw wrongField(data);
  if (payload.in === "external") {
    if (payload.range !== undefined) checkBytes(data, payload.range, byteLengthOf(dtype, size));
    return;
  }
  if (payload.in !== "raw" && payload.in !== TYPED_FIELD[dtype]) throw wrongField(data);
  switch (payload.in) {
    case "raw":
      checkBytes(data, payload.bytes, byteLengthOf(dtype, size));
      return;
    case "floatData":
    case "doubleData":
      checkBytes(data, payload.bytes, byteLengthOf(dtype, size));
      return;
    case "int32Data":
    case "int64Data":
    case "uint64Data": {
      const count = countVarints(payload.bytes as Uint8Array, data);
      const expected = storageLengthOf(dtype, size);
      if (count !== expected) throw wrongLength(data, count, expected, "values");
    }
  }
}

/** Product of dims; throws MODEL_INVALID when it is no safe integer. */
function elements(dims: readonly number[]): number {
  let size = 1;
  for (const dim of dims) size *= dim;
  if (!Number.isSafeInteger(size)) {
    throw invalid("a tensor has more than 2^53 elements", { given: `dims [${dims.join(", ")}]` });
  }
  return size;
}

function checkBytes(data: TensorData, chunk: Chunk, expected: number): void {
  const given = chunkLength(chunk);
  if (given !== expected) throw wrongLength(data, given, expected, "bytes");
}

function countVarints(bytes: Uint8Array, data: TensorData): number {
  let count = 0;
  let width = 0;
  for (const byte of bytes) {
    if (++width > 10) throw invalid(`tensor "${data.name}" holds a varint of more than 10 bytes`);
    if (byte < 0x80) {
      count++;
      width = 0;
    }
  }
  if (width > 0) throw invalid(`tensor "${data.name}" ends inside a value`);
  return count;
}

function wrongLength(data: TensorData, given: number, expected: number, what: string): TenonError {
  return invalid(`tensor "${data.name}" holds more or fewer ${what} than its dims say`, {
    given: `${given} for ${data.dtype} [${data.dims.join(", ")}]`,
    expected: String(expected),
  });
}

function wrongField(data: TensorData): TenonError {
  return invalid(`tensor "${data.name}" holds its data in a field that is not for its dtype`, {
    given: `${data.payload.in} for ${dtypeInfo(data.dtype).short}`,
    expected:
      data.dtype === "string"
        ? "string_data"
        : `raw_data or ${TYPED_FIELD[data.dtype]} (snake case in the file)`,
  });
}

/** Bytes that a weight takes, in memory or on disk. */
export function weightBytes(data: TensorData): number {
  if (data.payload.in === "stringData")
    return data.payload.strings.reduce((sum, item) => sum + item.length, 0);
  return byteLengthOf(data.dtype, elements(data.dims));
}
