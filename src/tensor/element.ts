/** Single elements of any dtype between storage and JavaScript values. */
import { TenonError } from "../base/index.js";
import type { DType, NumericArray } from "./dtype.js";
import { bfloat16ToNumber, float16ToNumber } from "./float16.js";
import { StringStorage } from "./strings.js";

/** A JavaScript value of one element: bigint for 64-bit ints, boolean for bool, [re, im] for complex. */
export type Element = number | bigint | boolean | string | readonly [number, number];

/** The element at a storage index (in elements). */
export function readElement(dtype: DType, storage: NumericArray | StringStorage, index: number): Element {
  if (storage instanceof StringStorage) return storage.get(index);
  switch (dtype) {
    case "bool":
      return storage[index] !== 0;
    case "float16":
      return float16ToNumber(storage[index] as number);
    case "bfloat16":
      return bfloat16ToNumber(storage[index] as number);
    case "complex64":
    case "complex128":
      return [storage[2 * index] as number, storage[2 * index + 1] as number];
    case "float64":
    case "float32":
    case "int64":
    case "int32":
    case "int16":
    case "int8":
    case "uint64":
    case "uint32":
    case "uint16":
    case "uint8":
      return storage[index]!;
    default:
      throw new TenonError("TENSOR_DTYPE", { given: dtype });
  }
}
