/** Reductions over axes: sum, prod, mean, max, min, variance, std. Sums of floats accumulate in double precision. */
import { TenonError } from "../../base/index.js";
import { type DType, dtypeInfo, integerRange } from "../dtype.js";
import { normalizeAxis } from "../layout.js";
import type { Tensor } from "../tensor.js";
import { BLOCK, type Domain, domainOf, Reader } from "./blocks.js";
import { fill, fillBig } from "./dense.js";
import { KERNEL_BLOCK, reduceBlock } from "./kernels.js";
import { type Into, resultTensor, safeToRead } from "./operands.js";
import { larger, smaller } from "./special.js";

/** Which axes a reduction takes away. */
export interface ReduceOptions<D extends DType = DType> extends Into<D> {
  /** One axis or several; negative counts from the end. Default: all of them. */
  readonly axis?: number | readonly number[] | undefined;
  /** Keep the reduced axes with size 1. Default false. */
  readonly keepDims?: boolean | undefined;
}

/** How a reduction goes over one block: along a row into one number, or row by row into many. */
interface Loops<A> {
  readonly row: (x: A, at: number, n: number, sum: number, center: number) => number;
  readonly columns: (
    sums: Float64Array,
    c: number,
    x: A,
    at: number,
    n: number,
    centers: Float64Array,
  ) => void;
}

interface Reduction {
  readonly start: number;
  readonly float32: Loops<Float32Array>;
  readonly float64: Loops<Float64Array>;
  readonly big: ((sum: bigint, x: bigint) => bigint) | null;
  readonly bigStart: bigint;
}

// The two columns have one text and differ in their types: see FORMATS in blocks.ts.
// biome-ignore format: a table is read by columns
const SUM: Reduction = {
  start: 0,
  float32: {
    row: (x, at, n, sum) => {
      const block = reduceBlock("sum", x, at, n);
      if (block !== undefined) return sum + block;
      let a = 0, b = 0, c = 0, d = 0, i = at;
      for (const e = at + (n & ~7); i < e; i += 8) {
        a += x[i]! + x[i + 1]!; b += x[i + 2]! + x[i + 3]!; c += x[i + 4]! + x[i + 5]!; d += x[i + 6]! + x[i + 7]!;
      }
      for (const e = at + n; i < e; i++) a += x[i]!;
      return sum + (a + b + (c + d));
    },
    columns: (sums, c, x, at, n) => {
      const end = at + n;
      for (const e = at + (n & ~3); at < e; at += 4, c += 4) {
        sums[c]! += x[at]!; sums[c + 1]! += x[at + 1]!; sums[c + 2]! += x[at + 2]!; sums[c + 3]! += x[at + 3]!;
      }
      while (at < end) sums[c++]! += x[at++]!;
    },
  },
  float64: {
    row: (x, at, n, sum) => {
      let a = 0, b = 0, c = 0, d = 0, i = at;
      for (const e = at + (n & ~7); i < e; i += 8) {
        a += x[i]! + x[i + 1]!; b += x[i + 2]! + x[i + 3]!; c += x[i + 4]! + x[i + 5]!; d += x[i + 6]! + x[i + 7]!;
      }
      for (const e = at + n; i < e; i++) a += x[i]!;
      return sum + (a + b + (c + d));
    },
    columns: (sums, c, x, at, n) => {
      const end = at + n;
      for (const e = at + (n & ~3); at < e; at += 4, c += 4) {
        sums[c]! += x[at]!; sums[c + 1]! += x[at + 1]!; sums[c + 2]! += x[at + 2]!; sums[c + 3]! += x[at + 3]!;
      }
      while (at < end) sums[c++]! += x[at++]!;
    },
  },
  big: (sum, x) => sum + x,
  bigStart: 0n,
};

// biome-ignore format: a table is read by columns
const PROD: Reduction = {
  start: 1,
  float32: {
    row: (x, at, n, sum) => { for (const e = at + n; at < e; ) sum *= x[at++]!; return sum; },
    columns: (sums, c, x, at, n) => { for (const e = at + n; at < e; ) sums[c++]! *= x[at++]!; },
  },
  float64: {
    row: (x, at, n, sum) => { for (const e = at + n; at < e; ) sum *= x[at++]!; return sum; },
    columns: (sums, c, x, at, n) => { for (const e = at + n; at < e; ) sums[c++]! *= x[at++]!; },
  },
  big: (sum, x) => sum * x,
  bigStart: 1n,
};

// Four running values: each waits for its own last step only.
// biome-ignore format: a table is read by columns
export const MAX: Reduction = {
  start: Number.NEGATIVE_INFINITY,
  float32: {
    row: (x, at, n, sum) => {
      const block = reduceBlock("max", x, at, n);
      if (block !== undefined) return Math.max(sum, block);
      let a = sum, b = sum, c = sum, d = sum, i = at;
      for (const e = at + (n & ~3); i < e; i += 4) { a = Math.max(a, x[i]!); b = Math.max(b, x[i + 1]!); c = Math.max(c, x[i + 2]!); d = Math.max(d, x[i + 3]!); }
      for (const e = at + n; i < e; i++) a = Math.max(a, x[i]!);
      return Math.max(Math.max(a, b), Math.max(c, d));
    },
    columns: (sums, c, x, at, n) => { for (const e = at + n; at < e; c++) sums[c] = Math.max(sums[c]!, x[at++]!); },
  },
  float64: {
    row: (x, at, n, sum) => {
      let a = sum, b = sum, c = sum, d = sum, i = at;
      for (const e = at + (n & ~3); i < e; i += 4) { a = Math.max(a, x[i]!); b = Math.max(b, x[i + 1]!); c = Math.max(c, x[i + 2]!); d = Math.max(d, x[i + 3]!); }
      for (const e = at + n; i < e; i++) a = Math.max(a, x[i]!);
      return Math.max(Math.max(a, b), Math.max(c, d));
    },
    columns: (sums, c, x, at, n) => { for (const e = at + n; at < e; c++) sums[c] = Math.max(sums[c]!, x[at++]!); },
  },
  big: larger,
  bigStart: -(2n ** 63n),
};

// biome-ignore format: a table is read by columns
export const MIN: Reduction = {
  start: Number.POSITIVE_INFINITY,
  float32: {
    row: (x, at, n, sum) => {
      const block = reduceBlock("min", x, at, n);
      if (block !== undefined) return Math.min(sum, block);
      let a = sum, b = sum, c = sum, d = sum, i = at;
      for (const e = at + (n & ~3); i < e; i += 4) { a = Math.min(a, x[i]!); b = Math.min(b, x[i + 1]!); c = Math.min(c, x[i + 2]!); d = Math.min(d, x[i + 3]!); }
      for (const e = at + n; i < e; i++) a = Math.min(a, x[i]!);
      return Math.min(Math.min(a, b), Math.min(c, d));
    },
    columns: (sums, c, x, at, n) => { for (const e = at + n; at < e; c++) sums[c] = Math.min(sums[c]!, x[at++]!); },
  },
  float64: {
    row: (x, at, n, sum) => {
      let a = sum, b = sum, c = sum, d = sum, i = at;
      for (const e = at + (n & ~3); i < e; i += 4) { a = Math.min(a, x[i]!); b = Math.min(b, x[i + 1]!); c = Math.min(c, x[i + 2]!); d = Math.min(d, x[i + 3]!); }
      for (const e = at + n; i < e; i++) a = Math.min(a, x[i]!);
      return Math.min(Math.min(a, b), Math.min(c, d));
    },
    columns: (sums, c, x, at, n) => { for (const e = at + n; at < e; c++) sums[c] = Math.min(sums[c]!, x[at++]!); },
  },
  big: smaller,
  bigStart: 2n ** 64n - 1n,
};

/** Sum of squared distances from given centres. */
// biome-ignore format: a table is read by columns
const DEVIATION: Reduction = {
  start: 0,
  float32: {
    row: (x, at, n, sum, center) => { for (const e = at + n; at < e; ) { const d = x[at++]! - center; sum += d * d; } return sum; },
    columns: (sums, c, x, at, n, centers) => { for (const e = at + n; at < e; c++) { const d = x[at++]! - centers[c]!; sums[c]! += d * d; } },
  },
  float64: {
    row: (x, at, n, sum, center) => { for (const e = at + n; at < e; ) { const d = x[at++]! - center; sum += d * d; } return sum; },
    columns: (sums, c, x, at, n, centers) => { for (const e = at + n; at < e; c++) { const d = x[at++]! - centers[c]!; sums[c]! += d * d; } },
  },
  big: null,
  bigStart: 0n,
};

/** A reduction's axes, and the shape of its result. */
interface Plan {
  readonly kept: readonly number[];
  readonly reduced: readonly number[];
  /** Elements that make one result. */
  readonly count: number;
  /** Results. */
  readonly rows: number;
  readonly shape: readonly number[];
}

/** Which axes go and what remains; throws TENSOR_SHAPE for an axis out of range or named twice. */
export function reductionPlan(x: Tensor, options: Pick<ReduceOptions, "axis" | "keepDims">): Plan {
  const { axis, keepDims = false } = options;
  const all = x.shape.map((_, i) => i);
  const named = axis === undefined ? all : typeof axis === "number" ? [axis] : axis;
  const reduced = named.map((one) => normalizeAxis(one, x.rank)).sort((a, b) => a - b);
  if (new Set(reduced).size !== reduced.length) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "an axis is named twice",
      given: `[${named.join(", ")}]`,
    });
  }
  const kept = all.filter((one) => !reduced.includes(one));
  const product = (axes: readonly number[]): number => axes.reduce((size, one) => size * x.shape[one]!, 1);
  const shape = keepDims
    ? x.shape.map((dim, one) => (reduced.includes(one) ? 1 : dim))
    : kept.map((one) => x.shape[one]!);
  return { kept, reduced, count: product(reduced), rows: product(kept), shape };
}

/** True when the memory runs along a kept axis, so that whole rows are better added up than columns one by one. */
function runsAlongKept(x: Tensor, plan: Plan): boolean {
  const inner = plan.kept.at(-1);
  if (inner === undefined || plan.count < 2 || x.shape[inner]! < 8) return false;
  const stride = Math.abs(x.strides[inner]!);
  return plan.reduced.every((axis) => x.shape[axis] === 1 || Math.abs(x.strides[axis]!) > stride);
}

function reduceNumbers(x: Tensor, plan: Plan, reduction: Reduction, centers: Float64Array): Float64Array {
  const results = new Float64Array(plan.rows).fill(reduction.start);
  if (plan.rows === 0 || plan.count === 0) return results;
  const loops = (domainOf(x.dtype) === "float32" ? reduction.float32 : reduction.float64) as Loops<
    Float32Array | Float64Array
  >;
  if (runsAlongKept(x, plan)) reduceColumns(x, plan, loops, results, centers);
  else reduceRows(x, plan, loops, results, centers);
  return results;
}

function reduceRows(
  x: Tensor,
  plan: Plan,
  loops: Loops<Float32Array | Float64Array>,
  results: Float64Array,
  centers: Float64Array,
): void {
  const reader = new Reader<Exclude<Domain, "big">>(x.transpose(...plan.kept, ...plan.reduced), 0);
  const most = reader.isDirect ? KERNEL_BLOCK : BLOCK;
  for (let row = 0; row < plan.rows; row++) {
    let result = results[row]!;
    const center = centers.length === 0 ? 0 : centers[row]!;
    for (let rest = plan.count; rest > 0; rest -= most) {
      const n = Math.min(rest, most);
      reader.next(n);
      result = loops.row(reader.array, reader.at, n, result, center);
    }
    results[row] = result;
  }
}

function reduceColumns(
  x: Tensor,
  plan: Plan,
  loops: Loops<Float32Array | Float64Array>,
  results: Float64Array,
  centers: Float64Array,
): void {
  const inner = plan.kept.at(-1)!;
  const width = x.shape[inner]!;
  const order = [...plan.kept.slice(0, -1), ...plan.reduced, inner];
  const reader = new Reader<Exclude<Domain, "big">>(x.transpose(...order), 0);
  for (let base = 0; base < plan.rows; base += width) {
    for (let item = 0; item < plan.count; item++) {
      for (let column = 0; column < width; column += BLOCK) {
        const n = Math.min(width - column, BLOCK);
        reader.next(n);
        loops.columns(results, base + column, reader.array, reader.at, n, centers);
      }
    }
  }
}

function reduceBigs(x: Tensor, plan: Plan, reduction: Reduction): bigint[] {
  const reader = new Reader<"big">(x.transpose(...plan.kept, ...plan.reduced), 0);
  const step = reduction.big!;
  return Array.from({ length: plan.rows }, () => {
    let result = reduction.bigStart;
    for (let rest = plan.count; rest > 0; rest -= BLOCK) {
      const n = Math.min(rest, BLOCK);
      reader.next(n);
      for (let i = reader.at; i < reader.at + n; i++) result = step(result, reader.array[i]!);
    }
    return result;
  });
}

const NO_CENTERS = new Float64Array(0);

/** Throws TENSOR_VALUE when an integer result left the range of its dtype. */
function checkRange(op: string, dtype: DType, values: ArrayLike<number | bigint>): void {
  const { kind } = dtypeInfo(dtype);
  if (kind !== "int" && kind !== "uint") return;
  const range = integerRange(dtype);
  const [low, high] = domainOf(dtype) === "big" ? range : [Number(range[0]), Number(range[1])];
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    if (value >= low && value <= high) continue;
    throw new TenonError("TENSOR_VALUE", {
      problem: `the ${op} does not fit ${dtype}`,
      given: String(value),
      expected: `${low} to ${high}`,
      do: `cast first, for example ${op}(cast(x, "int64"))`,
    });
  }
}

function refuse(op: string, dtype: DType, expected: string): never {
  throw new TenonError("TENSOR_DTYPE", {
    problem: `${op} does not take ${dtype}`,
    expected,
    do: 'cast first, for example cast(x, "float32")',
  });
}

type ReduceFunction = <D extends DType>(x: Tensor<D>, options?: ReduceOptions<NoInfer<D>>) => Tensor<D>;

function reduce(op: string, reduction: Reduction, allows: { bool: boolean; empty: boolean }): ReduceFunction {
  return <D extends DType>(x: Tensor<D>, options: ReduceOptions<D> = {}) => {
    const domain = domainOf(x.dtype);
    if (domain === undefined || (dtypeInfo(x.dtype).kind === "bool" && !allows.bool)) {
      refuse(op, x.dtype, "a float dtype of at least 16 bits, or ints of at least 8");
    }
    const plan = reductionPlan(x as Tensor, options);
    if (!allows.empty && plan.count === 0 && plan.rows > 0) {
      throw new TenonError("TENSOR_SHAPE", {
        problem: `${op} of no elements`,
        given: `[${x.shape.join(", ")}]`,
      });
    }
    const out = resultTensor(x.dtype, plan.shape, options.into);
    const source = safeToRead(x as Tensor, out as Tensor);
    if (domain === "big") {
      const results = reduceBigs(source, plan, reduction);
      checkRange(op, x.dtype, results);
      fillBig(out as Tensor, results);
    } else {
      const results = reduceNumbers(source, plan, reduction, NO_CENTERS);
      checkRange(op, x.dtype, results);
      fill(out as Tensor, results);
    }
    return out;
  };
}

/** Options of `variance` and `std`. */
export interface VarianceOptions<D extends DType = DType> extends ReduceOptions<D> {
  /** What the count is lowered by: 0 for the population (the default), 1 for a sample. */
  readonly correction?: number | undefined;
}

function needFloat(op: string, x: Tensor): void {
  const domain = domainOf(x.dtype);
  if (domain !== "float32" && domain !== "float64") {
    refuse(op, x.dtype, "float64, float32, float16 or bfloat16");
  }
}

function moments(
  x: Tensor,
  options: VarianceOptions,
  op: string,
  finish: (sum: number, count: number) => number,
): Tensor {
  needFloat(op, x);
  const plan = reductionPlan(x, options);
  const out = resultTensor(x.dtype, plan.shape, options.into);
  const source = safeToRead(x, out);
  const means = reduceNumbers(source, plan, SUM, NO_CENTERS).map((sum) => sum / plan.count);
  const count = plan.count - (options.correction ?? 0);
  const results =
    op === "mean" ? means : reduceNumbers(source, plan, DEVIATION, means).map((sum) => finish(sum, count));
  fill(out, results);
  return out;
}

/**
 * Sum over axes, in the operand's dtype; 0 of nothing. Floats accumulate in double precision, in an order that is fixed
 * for a shape and layout, and differs between processes with and without WebAssembly SIMD. An integer sum that leaves
 * the dtype's range throws TENSOR_VALUE: cast to int64 first.
 */
export const sum = reduce("sum", SUM, { bool: false, empty: true });
/** Product over axes; 1 of nothing. Range as for `sum`. */
export const prod = reduce("prod", PROD, { bool: false, empty: true });
/** Largest element over axes, NaN when there is one; of bool: any. Throws TENSOR_SHAPE over no elements. */
export const max = reduce("max", MAX, { bool: true, empty: false });
/** Smallest element over axes, NaN when there is one; of bool: all. Throws TENSOR_SHAPE over no elements. */
export const min = reduce("min", MIN, { bool: true, empty: false });

/** Mean over axes of floats, accumulated in double precision; NaN of nothing. Throws TENSOR_DTYPE for ints: cast first. */
export function mean<D extends DType>(x: Tensor<D>, options: ReduceOptions<NoInfer<D>> = {}): Tensor<D> {
  return moments(x as Tensor, options as VarianceOptions, "mean", (total) => total) as Tensor as Tensor<D>;
}

/** Mean squared distance from the mean, over axes, of floats (two passes, in double precision). */
export function variance<D extends DType>(
  x: Tensor<D>,
  options: VarianceOptions<NoInfer<D>> = {},
): Tensor<D> {
  const finish = (total: number, count: number): number => (count > 0 ? total / count : Number.NaN);
  return moments(x as Tensor, options as VarianceOptions, "variance", finish) as Tensor as Tensor<D>;
}

/** Standard deviation: the root of `variance`. */
export function std<D extends DType>(x: Tensor<D>, options: VarianceOptions<NoInfer<D>> = {}): Tensor<D> {
  const finish = (total: number, count: number): number =>
    count > 0 ? Math.sqrt(total / count) : Number.NaN;
  return moments(x as Tensor, options as VarianceOptions, "std", finish) as Tensor as Tensor<D>;
}
