/** joinRows: the rows of several results in one dense tensor. */
import { TenonError } from "../base/index.js";
import {
  allocateStorage,
  denseLayout,
  gatherInto,
  type NumericArray,
  type Storage,
  StringStorage,
  sizeOf,
  storageLengthOf,
  Tensor,
} from "../tensor/core.js";

/** Copies the rows of `parts` (equal but for axis 0) behind each other, into `target` when given. Throws TENSOR_SHAPE. */
export function joinRows(parts: readonly Tensor[], rows: number, target?: Tensor): Tensor {
  const first = parts[0]!;
  const shape = [rows, ...first.shape.slice(1)];
  if (first.dtype === "string") {
    const strings = parts.flatMap((part) => [...(part.data as readonly string[])]);
    return new Tensor(first.dtype, StringStorage.fromStrings(strings), denseLayout(shape));
  }
  if (
    target !== undefined &&
    (target.size !== sizeOf(shape) || target.dtype !== first.dtype || !target.isDense)
  ) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "`into` does not fit the output",
      given: String(target),
      expected: `a dense ${first.dtype} [${shape.join(", ")}]`,
    });
  }
  const storage =
    target === undefined
      ? allocateStorage(first.dtype, sizeOf(shape))
      : (target.data as unknown as NumericArray);
  let at = 0;
  for (const part of parts) {
    const length = storageLengthOf(first.dtype, part.size);
    gatherInto(part, storage.subarray(at, at + length) as NumericArray);
    at += length;
  }
  return new Tensor(first.dtype, storage as unknown as Storage, denseLayout(shape));
}
