/** TensorRef: a tensor in a file that has not been read, as a view on the storage it may share with others. */
import { formatBytes, TenonError } from "../base/index.js";
import { type Chunk, chunkLength, readRange } from "../onnx/index.js";
import {
  byteLengthOf,
  type DType,
  isDense,
  storageAlignment,
  Tensor,
  tensorFromBytes,
  viewStorage,
} from "../tensor/index.js";
import { damaged, quoted } from "./invalid.js";

/** A tensor that lies in a file (or in a buffer) and is read when `materialize` is called. */
export interface TensorRef {
  readonly name: string;
  readonly dtype: Exclude<DType, "string">;
  readonly shape: readonly number[];
  /** In elements, never negative; 0 where an axis repeats. */
  readonly strides: readonly number[];
  /** Bytes from the storage's start to the first element. */
  readonly offset: number;
  /** Where the storage's bytes are. Tensors that share a storage have the same object here. */
  readonly storage: Chunk;
}

const MAX_RANK = 64;

/** A checked TensorRef: FILE_INVALID unless its elements lie inside its storage. */
export function makeTensorRef(ref: TensorRef): TensorRef {
  const { name, dtype, shape, strides, offset, storage } = ref;
  const refuse = (problem: string): never => {
    throw damaged(`tensor ${quoted(name)} ${problem}`, {
      given: `${dtype} [${shape.slice(0, MAX_RANK).join(", ")}], strides [${strides.slice(0, MAX_RANK).join(", ")}], offset ${offset}`,
      expected: `a view on ${chunkLength(storage)} bytes`,
    });
  };
  if (shape.length > MAX_RANK) refuse(`has more than ${MAX_RANK} dimensions`);
  if (strides.length !== shape.length) refuse("has another number of strides than of dimensions");
  if (![...shape, ...strides, offset].every((n) => Number.isSafeInteger(n) && n >= 0))
    refuse("has a size, stride or offset that is no count");
  let elements = 1;
  let last = 0;
  shape.forEach((dim, axis) => {
    elements *= dim;
    last += Math.max(dim - 1, 0) * strides[axis]!;
  });
  if (!Number.isSafeInteger(elements) || !Number.isSafeInteger(last + 1)) refuse("is larger than any file");
  const span = elements === 0 ? 0 : byteLengthOf(dtype, last + 1);
  if (!Number.isSafeInteger(span) || offset + span > chunkLength(storage)) refuse("leaves its storage");
  return Object.freeze(ref);
}

/** Bytes of the elements when dense, whatever the storage holds. */
export function byteLength(ref: TensorRef): number {
  return byteLengthOf(ref.dtype, elementCount(ref));
}

/** Number of elements; 1 for a scalar. */
export function elementCount(ref: TensorRef): number {
  return ref.shape.reduce((size, dim) => size * dim, 1);
}

/** True when the elements lie row-major without gaps, so that `denseBytes` gives them unread. */
export function isContiguous(ref: TensorRef): boolean {
  return isDense(ref);
}

/** True when both are one view on one storage, as tied weights are. */
export function isSameView(a: TensorRef, b: TensorRef): boolean {
  return (
    a.storage === b.storage &&
    a.dtype === b.dtype &&
    a.offset === b.offset &&
    a.shape.join() === b.shape.join() &&
    a.strides.join() === b.strides.join()
  );
}

/** Where the dense little-endian elements are, unread; undefined for a strided view, which has to be materialized. */
export function denseBytes(ref: TensorRef): Chunk | undefined {
  if (!isContiguous(ref)) return undefined;
  return subChunk(ref.storage, ref.offset, byteLength(ref));
}

/** A part of a chunk, unread. */
export function subChunk(storage: Chunk, offset: number, length: number): Chunk {
  if (storage instanceof Uint8Array) return storage.subarray(offset, offset + length);
  return { file: storage.file, offset: storage.offset + offset, length };
}

export interface MaterializeOptions {
  /** Most bytes that the tensor, or the part of the storage it spans, may take. Default 1 GiB. */
  readonly maxBytes?: number;
}

const MAX_BYTES = 2 ** 30;

/**
 * Reads a tensor: dense and row-major, a view when its bytes are in memory, dense and aligned. Throws TENSOR_SHAPE above
 * `maxBytes` (a stride of 0 makes a large tensor of a small file), FILE_INVALID when the file changed since it was opened.
 */
export function materialize(ref: TensorRef, options: MaterializeOptions = {}): Tensor {
  const { dtype, shape, strides } = ref;
  const maxBytes = options.maxBytes ?? MAX_BYTES;
  const dense = denseBytes(ref);
  if (dense !== undefined) {
    refuseLarge(ref, chunkLength(dense), maxBytes);
    return tensorFromBytes(dtype, shape, bytesOf(dense));
  }
  const last = shape.reduce((sum, dim, axis) => sum + (dim - 1) * strides[axis]!, 0);
  const span = byteLengthOf(dtype, last + 1);
  refuseLarge(ref, Math.max(span, byteLength(ref)), maxBytes);
  const spanned = bytesOf(subChunk(ref.storage, ref.offset, span));
  const bytes = spanned.byteOffset % storageAlignment(dtype) === 0 ? spanned : new Uint8Array(spanned);
  const storage = viewStorage(dtype, bytes.buffer, bytes.byteOffset, last + 1);
  // The storage was made for this dtype.
  return new Tensor(dtype, storage as never, { shape, strides, offset: 0 }).contiguous();
}

function bytesOf(chunk: Chunk): Uint8Array {
  return chunk instanceof Uint8Array ? chunk : readRange(chunk);
}

function refuseLarge(ref: TensorRef, bytes: number, maxBytes: number): void {
  if (bytes <= maxBytes) return;
  throw new TenonError("TENSOR_SHAPE", {
    problem: `tensor ${quoted(ref.name)} is larger than may be read at once`,
    given: `${formatBytes(bytes)} for ${ref.dtype} [${ref.shape.join(", ")}]`,
    expected: `at most ${formatBytes(maxBytes)}`,
    do: "raise maxBytes",
  });
}
