/** Tensors from a rule: full, ones, arange, linspace, eye. */
import { TenonError } from "../../base/index.js";
import { type DType, dtypeInfo, type NumericArray } from "../dtype.js";
import { type Element, writeElement } from "../element.js";
import { denseLayout, sizeOf } from "../layout.js";
import { zeros } from "../make.js";
import type { Storage } from "../storage.js";
import { StringStorage } from "../strings.js";
import { Tensor } from "../tensor.js";

function storageOf(x: Tensor): NumericArray {
  // Only called for dtypes that a typed array stores.
  return x.storage as unknown as NumericArray;
}

/** A tensor with one value everywhere. Throws TENSOR_VALUE when the dtype cannot hold it. */
export function full<D extends DType>(dtype: D, shape: readonly number[], value: Element): Tensor<D> {
  if (dtype === "string") {
    if (typeof value !== "string") {
      throw new TenonError("TENSOR_VALUE", { given: String(value), expected: "a string" });
    }
    const texts = StringStorage.fromStrings(new Array<string>(sizeOf(shape)).fill(value));
    return new Tensor(dtype, texts as Storage<D>, denseLayout([...shape]));
  }
  const one = zeros(dtype, []);
  writeElement(dtype, storageOf(one as Tensor), 0, value);
  return one.broadcastTo(shape).clone();
}

/** A tensor of ones (true for bool, 1 + 0i for complex). */
export function ones<D extends Exclude<DType, "string">>(dtype: D, shape: readonly number[]): Tensor<D> {
  return full(dtype, shape, oneOf(dtype));
}

/** The 1 of a dtype. */
export function oneOf(dtype: DType): Element {
  const { kind } = dtypeInfo(dtype);
  return kind === "bool" ? true : kind === "complex" ? [1, 0] : 1;
}

/** Options of `arange` and `linspace`. */
export interface RangeOptions<D extends DType> {
  /** Default float32. */
  readonly dtype?: D | undefined;
}

/**
 * start, start + step, … up to but without stop, as numpy's arange: its length is ceil((stop − start) / step).
 * Throws TENSOR_VALUE for a step of 0 or values that the dtype cannot hold.
 *
 * @example arange(0, 5, 1, { dtype: "int64" })   // int64 [5]: 0 1 2 3 4
 */
export function arange<D extends DType = "float32">(
  start: number,
  stop: number,
  step = 1,
  options: RangeOptions<D> = {},
): Tensor<D> {
  if (!Number.isFinite(start) || !Number.isFinite(stop) || !Number.isFinite(step) || step === 0) {
    throw new TenonError("TENSOR_VALUE", {
      given: `arange(${start}, ${stop}, ${step})`,
      expected: "finite numbers, and a step other than 0",
    });
  }
  const length = Math.max(0, Math.ceil((stop - start) / step));
  return sequence(options.dtype, length, (i) => start + i * step);
}

/** `count` evenly spaced numbers from start to stop, both included. */
export function linspace<D extends DType = "float32">(
  start: number,
  stop: number,
  count: number,
  options: RangeOptions<D> = {},
): Tensor<D> {
  const step = (stop - start) / (count - 1);
  return sequence(options.dtype, count, (i) =>
    i === count - 1 && i > 0 ? stop : count === 1 ? start : start + i * step,
  );
}

function sequence<D extends DType>(
  dtype: D | undefined,
  length: number,
  at: (i: number) => number,
): Tensor<D> {
  const made = zeros(dtype ?? ("float32" as D), [length]);
  if (made.dtype === "string")
    throw new TenonError("TENSOR_DTYPE", { given: "string", expected: "a numeric dtype" });
  const storage = storageOf(made as Tensor);
  for (let i = 0; i < length; i++) writeElement(made.dtype, storage, i, at(i));
  return made;
}

/** The identity matrix of size n, or ones on the diagonal of an [n, m] matrix of zeros. Default dtype float32. */
export function eye<D extends Exclude<DType, "string"> = "float32">(
  n: number,
  options: RangeOptions<D> & { readonly columns?: number | undefined } = {},
): Tensor<D> {
  const columns = options.columns ?? n;
  const made = zeros(options.dtype ?? ("float32" as D), [n, columns]);
  const one = oneOf(made.dtype);
  for (let i = 0; i < Math.min(n, columns); i++) {
    writeElement(made.dtype, storageOf(made as Tensor), i * columns + i, one);
  }
  return made;
}
