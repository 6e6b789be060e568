/** Order along an axis: argmax, argmin, sort, argsort, topK. NaN counts as the largest, equal elements keep their order. */
import { TenonError } from "../../base/index.js";
import type { DType } from "../dtype.js";
import { normalizeAxis } from "../layout.js";
import { zeros } from "../make.js";
import type { Tensor } from "../tensor.js";
import { type Block, domainOf } from "./blocks.js";
import { axisLast, blockArray, fillBig, gathered, resultArray } from "./dense.js";
import { KERNEL_BLOCK } from "./kernels.js";
import { type Into, resultTensor, safeToRead } from "./operands.js";
import { MAX, MIN, type ReduceOptions, reductionPlan } from "./reduce.js";

type Keys = Block;

function needOrder(op: string, x: Tensor): void {
  if (domainOf(x.dtype) !== undefined) return;
  throw new TenonError("TENSOR_DTYPE", {
    problem: `${op} does not take ${x.dtype}`,
    do: 'cast first, for example cast(x, "float32")',
  });
}

/** Options of `argmax` and `argmin`: one axis, or the flattened tensor when none is given. */
export interface ArgOptions extends Into<"int64"> {
  readonly axis?: number | undefined;
  /** Keep the axis with size 1. Default false. */
  readonly keepDims?: boolean | undefined;
}

/** Where the extreme of one row is: the block that holds it, then its place in that block. */
function firstExtreme(
  keys: Float32Array | Float64Array,
  at: number,
  n: number,
  { start, float32, float64 }: typeof MAX,
): number {
  let best = start;
  let block = at;
  const end = at + n;
  for (let from = at; from < end && !Number.isNaN(best); from += KERNEL_BLOCK) {
    const count = Math.min(KERNEL_BLOCK, end - from);
    const found =
      keys instanceof Float32Array
        ? float32.row(keys, from, count, best, 0)
        : float64.row(keys, from, count, best, 0);
    if (found === best) continue;
    best = found;
    block = from;
  }
  if (!Number.isNaN(best)) return keys.indexOf(best, block) - at;
  while (!Number.isNaN(keys[block]!)) block++;
  return block - at;
}

function firstBig(keys: Block<"big">, at: number, n: number, largest: boolean): number {
  let best = keys[at]!;
  let where = 0;
  for (let i = 1; i < n; i++) {
    const key = keys[at + i]!;
    if (largest ? key <= best : key >= best) continue;
    best = key;
    where = i;
  }
  return where;
}

function argExtreme(op: "argmax" | "argmin", x: Tensor, options: ArgOptions): Tensor<"int64"> {
  needOrder(op, x);
  const plan = reductionPlan(x, options as ReduceOptions);
  if (plan.count === 0 && plan.rows > 0) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: `${op} of no elements`,
      given: `[${x.shape.join(", ")}]`,
    });
  }
  const out = resultTensor("int64", plan.shape, options.into);
  const source = safeToRead(x, out).transpose(...plan.kept, ...plan.reduced);
  const { array, at } = gathered(source);
  const extreme = op === "argmax" ? MAX : MIN;
  const results = Array.from({ length: plan.rows }, (_, row) => {
    const start = at + row * plan.count;
    return BigInt(
      array instanceof Float32Array || array instanceof Float64Array
        ? firstExtreme(array, start, plan.count, extreme)
        : firstBig(array, start, plan.count, op === "argmax"),
    );
  });
  fillBig(out, results);
  return out;
}

/** Index of the first largest element along an axis (NaN counts as largest); over all elements without one. */
export function argmax(x: Tensor, options: ArgOptions = {}): Tensor<"int64"> {
  return argExtreme("argmax", x, options);
}

/** Index of the first smallest element along an axis (the first NaN, if there is one, as in numpy). */
export function argmin(x: Tensor, options: ArgOptions = {}): Tensor<"int64"> {
  return argExtreme("argmin", x, options);
}

/** Options of `sort` and `argsort`. */
export interface SortOptions<D extends DType = DType> extends Into<D> {
  /** Default -1. */
  readonly axis?: number | undefined;
  /** Largest first. Default false. */
  readonly descending?: boolean | undefined;
}

/** Elements in order along an axis; NaN last, or first when descending. */
export function sort<D extends DType>(x: Tensor<D>, options: SortOptions<NoInfer<D>> = {}): Tensor<D> {
  needOrder("sort", x as Tensor);
  const axis = normalizeAxis(options.axis ?? -1, x.rank);
  const out = resultTensor(x.dtype, x.shape, options.into);
  const source = axisLast(safeToRead(x as Tensor, out as Tensor), axis);
  const from = gathered(source);
  const to = resultArray(axisLast(out as Tensor, axis));
  const length = x.shape[axis]!;
  for (let start = 0; start < x.size; start += length) {
    const row = to.array.subarray(to.at + start, to.at + start + length) as Float64Array;
    row.set(from.array.subarray(from.at + start, from.at + start + length) as Float64Array);
    row.sort();
    if (options.descending === true) row.reverse();
  }
  to.deliver();
  return out;
}

/** Indices that sort along an axis, as int64; stable, NaN last, or first when descending. */
export function argsort(x: Tensor, options: SortOptions<"int64"> = {}): Tensor<"int64"> {
  needOrder("argsort", x);
  const axis = normalizeAxis(options.axis ?? -1, x.rank);
  const out = resultTensor("int64", x.shape, options.into);
  const { array, at } = gathered(axisLast(safeToRead(x, out), axis));
  const length = x.shape[axis]!;
  const indices = new BigInt64Array(x.size);
  const order = new Uint32Array(length);
  const spare = new Uint32Array(length);
  for (let start = 0; start < x.size; start += length) {
    const sorted = sortedOrder(array, at + start, order, spare, options.descending === true);
    for (let i = 0; i < length; i++) indices[start + i] = BigInt(sorted[i]!);
  }
  fillBig(axisLast(out, axis), indices);
  return out;
}

/** Merge sort of the indices 0 … n-1 by their keys; returns whichever of the two arrays holds the result. */
function sortedOrder(
  keys: Keys,
  at: number,
  order: Uint32Array,
  spare: Uint32Array,
  descending: boolean,
): Uint32Array {
  const n = order.length;
  for (let i = 0; i < n; i++) order[i] = i;
  const merge =
    keys instanceof Float32Array ? mergeFloat32 : keys instanceof Float64Array ? mergeFloat64 : mergeBig;
  let from = order;
  let to = spare;
  for (let width = 1; width < n; width *= 2) {
    for (let low = 0; low < n; low += 2 * width) {
      const middle = Math.min(low + width, n);
      // The keys' type chose the function.
      merge(keys as never, at, from, to, low, middle, Math.min(low + 2 * width, n), descending);
    }
    [from, to] = [to, from];
  }
  return from;
}

type Merge<K> = (
  keys: K,
  at: number,
  from: Uint32Array,
  to: Uint32Array,
  low: number,
  middle: number,
  high: number,
  descending: boolean,
) => void;

/** True when the right key comes before the left one; equal keys, and NaN among themselves, do not. */
function before(right: number, left: number, descending: boolean): boolean {
  if (descending) return right > left || (Number.isNaN(right) && !Number.isNaN(left));
  return right < left || (Number.isNaN(left) && !Number.isNaN(right));
}

const mergeFloat32: Merge<Float32Array> = (keys, at, from, to, low, middle, high, descending) => {
  let left = low;
  let right = middle;
  for (let k = low; k < high; k++) {
    const takeRight =
      left >= middle ||
      (right < high && before(keys[at + from[right]!]!, keys[at + from[left]!]!, descending));
    to[k] = takeRight ? from[right++]! : from[left++]!;
  }
};

const mergeFloat64: Merge<Float64Array> = (keys, at, from, to, low, middle, high, descending) => {
  let left = low;
  let right = middle;
  for (let k = low; k < high; k++) {
    const takeRight =
      left >= middle ||
      (right < high && before(keys[at + from[right]!]!, keys[at + from[left]!]!, descending));
    to[k] = takeRight ? from[right++]! : from[left++]!;
  }
};

const mergeBig: Merge<Block<"big">> = (keys, at, from, to, low, middle, high, descending) => {
  let left = low;
  let right = middle;
  for (let k = low; k < high; k++) {
    const takeRight =
      left >= middle ||
      (right < high &&
        (descending
          ? keys[at + from[right]!]! > keys[at + from[left]!]!
          : keys[at + from[right]!]! < keys[at + from[left]!]!));
    to[k] = takeRight ? from[right++]! : from[left++]!;
  }
};

/** Options of `topK`. */
export interface TopKOptions {
  /** Default -1. */
  readonly axis?: number | undefined;
  /** The k largest, largest first (NaN counts as largest); false: the k smallest, smallest first. Default true. */
  readonly largest?: boolean | undefined;
}

/** The k extreme elements along an axis in order, with their indices; equal elements by lower index. */
export function topK<D extends DType>(
  x: Tensor<D>,
  k: number,
  options: TopKOptions = {},
): { values: Tensor<D>; indices: Tensor<"int64"> } {
  needOrder("topK", x as Tensor);
  const { largest = true } = options;
  const axis = normalizeAxis(options.axis ?? -1, x.rank);
  const length = x.shape[axis]!;
  if (!Number.isInteger(k) || k < 0 || k > length) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "k is out of range",
      given: String(k),
      expected: `an integer from 0 to ${length}, the size of axis ${axis}`,
    });
  }
  const shape = x.shape.map((dim, i) => (i === axis ? k : dim));
  const values = zeros(x.dtype, shape);
  const indices = zeros("int64", shape);
  if (k === 0 || x.size === 0) return { values, indices };
  const { array, at } = gathered(axisLast(x as Tensor, axis));
  const rows = x.size / length;
  const order = new Uint32Array(length);
  const spare = new Uint32Array(length);
  const chosenKeys = blockArray(x as Tensor, rows * k);
  const chosen = new BigInt64Array(rows * k);
  for (let row = 0; row < rows; row++) {
    const start = at + row * length;
    const numeric = array instanceof Float32Array || array instanceof Float64Array;
    const best =
      numeric && k <= SMALL_K
        ? leading(array, start, length, k, largest)
        : sortedOrder(array, start, order, spare, largest);
    for (let i = 0; i < k; i++) {
      chosenKeys[row * k + i] = array[start + best[i]!]!;
      chosen[row * k + i] = BigInt(best[i]!);
    }
  }
  const target = resultArray(axisLast(values as Tensor, axis));
  (target.array as Float64Array).set(chosenKeys as Float64Array, target.at);
  target.deliver();
  fillBig(axisLast(indices, axis), chosen);
  return { values, indices };
}

/** Up to this k, insertion into a short sorted list beats sorting the whole row. */
const SMALL_K = 64;

function leading(
  keys: Float32Array | Float64Array,
  at: number,
  length: number,
  k: number,
  largest: boolean,
): Uint32Array {
  const best = new Uint32Array(k);
  let held = 0;
  let worst = 0;
  for (let i = 0; i < length; i++) {
    const key = keys[at + i]!;
    if (held === k && !before(key, worst, largest)) continue;
    let place = held < k ? held++ : k - 1;
    for (; place > 0 && before(key, keys[at + best[place - 1]!]!, largest); place--)
      best[place] = best[place - 1]!;
    best[place] = i;
    worst = keys[at + best[held - 1]!]!;
  }
  return best;
}
