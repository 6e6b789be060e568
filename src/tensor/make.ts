/** Makers of tensors: over storage or bytes without a copy, and from JavaScript values. */
import { TenonError } from "../base/index.js";
import {
  allocateStorage,
  byteLengthOf,
  type DType,
  dtypeInfo,
  type NumericArray,
  storageAlignment,
  storageLengthOf,
  viewEntries,
  viewStorage,
} from "./dtype.js";
import { describeValue, type Element, elementPhrase, tryWriteElement } from "./element.js";
import { denseLayout, sizeOf } from "./layout.js";
import { resolveShape } from "./reshape.js";
import type { Storage } from "./storage.js";
import { StringStorage } from "./strings.js";
import { Tensor } from "./tensor.js";

/** A tensor over existing storage, without a copy. Throws TENSOR_SHAPE when the storage's length does not fit. */
export function tensorFromStorage<D extends DType>(
  dtype: D,
  shape: readonly number[],
  storage: Storage<D>,
): Tensor<D> {
  const size = sizeOf(shape);
  const wanted = dtype === "string" ? size : storageLengthOf(dtype, size);
  if (storage.length !== wanted) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "data and shape differ in length",
      given: `${storage.length} entries for ${dtype} [${shape.join(", ")}]`,
      expected: `${wanted}`,
    });
  }
  return new Tensor(dtype, storage, denseLayout([...shape]));
}

/**
 * A tensor over raw little-endian bytes: a view when they are aligned for the dtype, else one copy.
 * Throws TENSOR_SHAPE when there are more or fewer bytes than the shape needs.
 */
export function tensorFromBytes<D extends Exclude<DType, "string">>(
  dtype: D,
  shape: readonly number[],
  bytes: Uint8Array,
): Tensor<D> {
  const size = sizeOf(shape);
  const wanted = byteLengthOf(dtype, size);
  if (bytes.byteLength !== wanted) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "bytes and shape differ in length",
      given: `${bytes.byteLength} bytes for ${dtype} [${shape.join(", ")}]`,
      expected: `${wanted} bytes`,
    });
  }
  const aligned = bytes.byteOffset % storageAlignment(dtype) === 0 ? bytes : new Uint8Array(bytes);
  const storage = viewStorage(dtype, aligned.buffer, aligned.byteOffset, size);
  return new Tensor(dtype, storage as unknown as Storage<D>, denseLayout([...shape]));
}

/** A tensor of zero bits (empty strings for dtype string). */
export function zeros<D extends DType>(dtype: D, shape: readonly number[]): Tensor<D> {
  const size = sizeOf(shape);
  const storage =
    dtype === "string"
      ? StringStorage.fromStrings(new Array<string>(size).fill(""))
      : allocateStorage(dtype, size);
  return new Tensor(dtype, storage as unknown as Storage<D>, denseLayout([...shape]));
}

/** A value, or arrays of it nested to one depth. */
export type Nested<T> = T | readonly Nested<T>[];

/** What `tensor` takes: a scalar, nested arrays, or a typed array; typed arrays may also be rows of arrays. */
export type TensorValues = Nested<Element | NumericArray | Uint8ClampedArray>;

export interface TensorOptions {
  /** Default: the typed array's own; else float32 for numbers, int64 for bigints, bool, string, by the first value. */
  readonly dtype?: DType | undefined;
  /** Default: the nesting of the values. Must have as many elements; one dimension may be -1. */
  readonly shape?: readonly number[] | undefined;
}

interface ShapeOnly {
  readonly dtype?: undefined;
  readonly shape?: readonly number[] | undefined;
}

/**
 * A tensor of JavaScript values: a scalar, nested arrays, or a typed array. A typed array whose type stores the dtype
 * becomes the storage, without a copy (`Uint16Array` with dtype float16: bit patterns; `Float16Array`, where the
 * platform has it, is float16 by itself); everything else is converted element by element, floats to the nearest.
 * Complex elements are pairs: `tensor([[1, 2], [3, 4]], { dtype: "complex64" })` has shape [2].
 *
 * Throws TENSOR_SHAPE for ragged arrays, TENSOR_VALUE for a value that the dtype cannot hold (wrong kind, out of range,
 * a fraction where it holds integers); both name the position.
 *
 * @example tensor([[1, 2], [3, 4]])                        // float32 [2, 2]
 * @example tensor([1, 2, 3], { dtype: "int64" })           // int64 [3]
 * @example tensor(pixels, { shape: [1, 224, 224, 3] })     // uint8, a view on the Uint8Array `pixels`
 */
export function tensor<const D extends DType>(
  values: TensorValues,
  options: { readonly dtype: D; readonly shape?: readonly number[] | undefined },
): Tensor<D>;
export function tensor(values: Nested<number | Float32Array>, options?: ShapeOnly): Tensor<"float32">;
export function tensor(values: Nested<bigint | BigInt64Array>, options?: ShapeOnly): Tensor<"int64">;
export function tensor(values: Nested<boolean>, options?: ShapeOnly): Tensor<"bool">;
export function tensor(values: Nested<string>, options?: ShapeOnly): Tensor<"string">;
export function tensor(values: Nested<Uint8Array | Uint8ClampedArray>, options?: ShapeOnly): Tensor<"uint8">;
export function tensor(values: Nested<Int32Array>, options?: ShapeOnly): Tensor<"int32">;
export function tensor(values: Nested<Float64Array>, options?: ShapeOnly): Tensor<"float64">;
export function tensor(values: TensorValues, options?: TensorOptions): Tensor;
export function tensor(values: TensorValues, options: TensorOptions = {}): Tensor {
  const first = firstLeaf(values);
  const dtype = options.dtype ?? defaultDType(first);
  const direct = isTyped(values) ? asStorage(values, dtype) : undefined;
  if (direct !== undefined) {
    const { bits, kind } = dtypeInfo(dtype);
    const perEntry = kind === "complex" ? 0.5 : bits < 8 ? 8 / bits : 1;
    const count = Math.floor(direct.length * perEntry);
    // Packed storage does not tell the number of elements in its last byte: a given shape does.
    const shape =
      bits < 8 && options.shape !== undefined ? options.shape : resolveShape(options.shape ?? [count], count);
    return tensorFromStorage(dtype, shape, direct as Storage);
  }
  const pairs = dtypeInfo(dtype).kind === "complex";
  const nesting = shapeOf(values);
  if (pairs && nesting.pop() !== 2) {
    throw new TenonError("TENSOR_VALUE", {
      given: "values that are no pairs",
      expected: elementPhrase(dtype),
    });
  }
  const shape = options.shape === undefined ? nesting : resolveShape(options.shape, sizeOf(nesting));
  if (dtype === "string") {
    const strings: string[] = [];
    walk(values, nesting, pairs, (value, position) => {
      if (typeof value !== "string") refuse(dtype, value, position());
      strings.push(value);
    });
    return new Tensor(dtype, StringStorage.fromStrings(strings), denseLayout(shape));
  }
  const storage = allocateStorage(dtype, sizeOf(nesting));
  let next = 0;
  walk(values, nesting, pairs, (value, position) => {
    if (!tryWriteElement(dtype, storage, next++, value)) refuse(dtype, value, position());
  });
  return new Tensor(dtype, storage as Storage, denseLayout(shape));
}

function refuse(dtype: DType, value: unknown, position: readonly number[]): never {
  throw new TenonError("TENSOR_VALUE", {
    problem: `a value does not fit ${dtype}`,
    given: `${describeValue(value)}${position.length === 0 ? "" : ` at [${position.join(", ")}]`}`,
    expected: elementPhrase(dtype),
    do: "give the dtype that the values have",
    details: { position },
  });
}

type TypedValues = NumericArray | Uint8ClampedArray;

/** A typed array, including a Float16Array where the platform has it. */
function isTyped(value: unknown): value is TypedValues {
  return ArrayBuffer.isView(value) && !(value instanceof DataView);
}

// biome-ignore format: a table is read by columns
const OWN_DTYPE: ReadonlyMap<string, DType> = new Map([
  ["Float64Array", "float64"], ["Float32Array", "float32"], ["Float16Array", "float16"],
  ["BigInt64Array", "int64"], ["Int32Array", "int32"], ["Int16Array", "int16"], ["Int8Array", "int8"],
  ["BigUint64Array", "uint64"], ["Uint32Array", "uint32"], ["Uint16Array", "uint16"], ["Uint8Array", "uint8"],
  ["Uint8ClampedArray", "uint8"],
]);

function typeName(array: TypedValues): string {
  return array[Symbol.toStringTag];
}

/**
 * The array itself when it stores the dtype as it is, or a plain typed array on the same bytes where it is of another
 * class (Buffer, Float16Array, Uint8ClampedArray): loops are fast on arrays of one class.
 */
function asStorage(values: TypedValues, dtype: DType): NumericArray | undefined {
  const own = typeName(values);
  const storage = dtypeInfo(dtype).array;
  if (own === "Float16Array" || own === "Uint8ClampedArray") {
    if (OWN_DTYPE.get(own) !== dtype) return undefined;
  } else if (own !== storage) return undefined;
  if (values.constructor.name === storage) return values as NumericArray;
  return viewEntries(dtype, values.buffer, values.byteOffset, values.length);
}

function firstLeaf(values: unknown): unknown {
  let leaf = values;
  while (Array.isArray(leaf) && leaf.length > 0) leaf = leaf[0];
  return leaf;
}

function defaultDType(leaf: unknown): DType {
  if (isTyped(leaf)) return OWN_DTYPE.get(typeName(leaf)) ?? "float32";
  const dtype = { number: "float32", bigint: "int64", boolean: "bool", string: "string" } as const;
  const kind = typeof leaf;
  if (Object.hasOwn(dtype, kind)) return dtype[kind as keyof typeof dtype];
  if (Array.isArray(leaf)) return "float32";
  throw new TenonError("TENSOR_VALUE", {
    problem: "no tensor element",
    given: describeValue(leaf),
    expected: "a number, bigint, boolean or string, arrays of them, or a typed array",
  });
}

function lengthOf(value: unknown): number | undefined {
  return Array.isArray(value) || isTyped(value) ? value.length : undefined;
}

function shapeOf(values: unknown): number[] {
  const shape: number[] = [];
  let level = values;
  for (;;) {
    const length = lengthOf(level);
    if (length === undefined) return shape;
    shape.push(length);
    if (length === 0) return shape;
    level = (level as readonly unknown[])[0];
  }
}

/** Visits the elements of nested arrays in row-major order; throws TENSOR_SHAPE where they leave the shape. */
function walk(
  values: unknown,
  shape: readonly number[],
  pairs: boolean,
  visit: (value: Element, position: () => readonly number[]) => void,
): void {
  const path: number[] = [];
  const position = (): readonly number[] => [...path];
  const ragged = (given: string, expected: string): never => {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "the arrays are ragged",
      given: `${given}${path.length === 0 ? "" : ` at [${path.join(", ")}]`}`,
      expected,
      details: { position: [...path] },
    });
  };
  const descend = (level: unknown, axis: number): void => {
    const length = lengthOf(level);
    if (axis === shape.length) {
      if (length !== undefined && !pairs) ragged(`an array of length ${length}`, "a single value");
      visit(level as Element, position);
      return;
    }
    if (length !== shape[axis]) {
      ragged(
        length === undefined ? describeValue(level) : `length ${length}`,
        `an array of length ${shape[axis]}, like the first one`,
      );
    }
    const entries = level as ArrayLike<unknown>;
    for (let i = 0; i < entries.length; i++) {
      path[axis] = i;
      descend(entries[i], axis + 1);
    }
    path.length = axis;
  };
  descend(values, 0);
}
