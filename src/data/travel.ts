/** What batches hold, on its way to a thread and back: tensors as their parts, numbers copied into memory that can travel. */
import { type DType, type NumericArray, StringStorage, Tensor, tensorFromStorage } from "../tensor/index.js";

export interface Packed {
  readonly value: unknown;
  /** Memory that goes along, and is gone here. */
  readonly memory: ArrayBuffer[];
}

/** A tensor in parts; no object of a batch has a name like that. */
const TENSOR = "tenon:tensor";

interface TensorParts {
  readonly [TENSOR]: DType;
  readonly shape: readonly number[];
  readonly values: NumericArray | { readonly bytes: Uint8Array; readonly offsets: Uint32Array };
}

/** Copies numbers; plain objects, arrays and what can be cloned go as they are. */
export function packed(value: unknown): Packed {
  const memory: ArrayBuffer[] = [];
  const own = <T extends NumericArray>(values: T): T => {
    const copy = values.slice() as T;
    memory.push(copy.buffer as ArrayBuffer); // slice() made it
    return copy;
  };
  const walk = (item: unknown): unknown => {
    if (item instanceof Tensor) return parts(item.isDense ? item : item.contiguous(), own);
    if (ArrayBuffer.isView(item) && !(item instanceof DataView)) return own(copyable(item));
    if (Array.isArray(item)) return item.map(walk);
    if (typeof item !== "object" || item === null) return item;
    const prototype: unknown = Object.getPrototypeOf(item);
    if (prototype !== null && prototype !== Object.prototype) return item;
    return Object.fromEntries(Object.entries(item).map(([key, inner]) => [key, walk(inner)]));
  };
  return { value: walk(value), memory };
}

/** A Buffer's slice is a view of it. */
function copyable(view: ArrayBufferView): NumericArray {
  return view instanceof Uint8Array
    ? new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
    : (view as unknown as NumericArray); // no DataView
}

function parts(tensor: Tensor, own: <T extends NumericArray>(values: T) => T): TensorParts {
  const { dtype, shape } = tensor;
  if (dtype !== "string")
    return { [TENSOR]: dtype, shape, values: own(tensor.data as unknown as NumericArray) };
  const { bytes, offsets } = StringStorage.fromStrings(tensor.data as unknown as string[]).encoded();
  return { [TENSOR]: dtype, shape, values: { bytes: own(bytes), offsets: own(offsets) } };
}

export function unpacked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(unpacked);
  if (typeof value !== "object" || value === null) return value;
  if (TENSOR in value) return tensorOf(value as TensorParts);
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== null && prototype !== Object.prototype) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, unpacked(inner)]));
}

function tensorOf({ [TENSOR]: dtype, shape, values }: TensorParts): Tensor {
  if (!("bytes" in values)) return tensorFromStorage(dtype, shape, values as never) as Tensor; // its dtype's array
  const texts = StringStorage.fromBytes(values.bytes, values.offsets);
  return tensorFromStorage("string", shape, texts) as Tensor;
}
