/** Walks along one axis of floats: softmax, logSoftmax, cumsum. */
import { TenonError } from "../../base/index.js";
import { type DType, dtypeInfo } from "../dtype.js";
import { normalizeAxis } from "../layout.js";
import type { Tensor } from "../tensor.js";
import { type Domain, domainOf } from "./blocks.js";
import { axisLast, gathered, resultArray } from "./dense.js";
import { softmaxRow } from "./kernels.js";
import { type Into, resultTensor, safeToRead } from "./operands.js";
import { exp32, expShifted } from "./special.js";

/** Options of operations along one axis. */
export interface AxisOptions<D extends DType = DType> extends Into<D> {
  /** Default -1. */
  readonly axis?: number | undefined;
}

/** o[k, k + n) from one row x[i, i + n). The two may be the same array and place. */
type RowLoop<A> = (x: A, i: number, o: A, k: number, n: number) => void;

interface Row {
  readonly float32: RowLoop<Float32Array>;
  readonly float64: RowLoop<Float64Array>;
  readonly int: RowLoop<Float64Array> | null;
  readonly big: RowLoop<BigInt64Array | BigUint64Array> | null;
}

const SOFTMAX: Row = {
  float32: (x, i, o, k, n) => {
    if (softmaxRow(x, i, o, k, n)) return;
    let top = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < n; j++) top = Math.max(top, x[i + j]!);
    const scale = 1 / expShifted(x, i, top, o, k, n);
    const end = k + n;
    for (const fours = k + (n & ~3); k < fours; k += 4) {
      o[k]! *= scale;
      o[k + 1]! *= scale;
      o[k + 2]! *= scale;
      o[k + 3]! *= scale;
    }
    for (; k < end; k++) o[k]! *= scale;
  },
  float64: (x, i, o, k, n) => {
    let top = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < n; j++) top = Math.max(top, x[i + j]!);
    let total = 0;
    for (let j = 0; j < n; j++) {
      const e = Math.exp(x[i + j]! - top);
      o[k + j] = e;
      total += e;
    }
    for (let j = 0; j < n; j++) o[k + j]! /= total;
  },
  int: null,
  big: null,
};

const LOG_SOFTMAX: Row = {
  float32: (x, i, o, k, n) => {
    let top = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < n; j++) top = Math.max(top, x[i + j]!);
    let total = 0;
    for (let j = 0; j < n; j++) total += exp32(x[i + j]! - top);
    const shift = top + Math.log(total);
    for (let j = 0; j < n; j++) o[k + j] = x[i + j]! - shift;
  },
  float64: (x, i, o, k, n) => {
    let top = Number.NEGATIVE_INFINITY;
    for (let j = 0; j < n; j++) top = Math.max(top, x[i + j]!);
    let total = 0;
    for (let j = 0; j < n; j++) total += Math.exp(x[i + j]! - top);
    const shift = Math.log(total);
    for (let j = 0; j < n; j++) o[k + j] = x[i + j]! - top - shift;
  },
  int: null,
  big: null,
};

const CUMSUM: Row = {
  float32: (x, i, o, k, n) => {
    let total = 0;
    for (let j = 0; j < n; j++) o[k + j] = total += x[i + j]!;
  },
  float64: (x, i, o, k, n) => {
    let total = 0;
    for (let j = 0; j < n; j++) o[k + j] = total += x[i + j]!;
  },
  int: (x, i, o, k, n) => {
    let total = 0;
    for (let j = 0; j < n; j++) o[k + j] = total = (total + x[i + j]!) | 0;
  },
  big: (x, i, o, k, n) => {
    let total = 0n;
    for (let j = 0; j < n; j++) {
      o[k + j] = total + x[i + j]!;
      total = o[k + j]!;
    }
  },
};

function alongAxis(
  op: string,
  row: Row,
): <D extends DType>(x: Tensor<D>, options?: AxisOptions<NoInfer<D>>) => Tensor<D> {
  return <D extends DType>(x: Tensor<D>, options: AxisOptions<D> = {}) => {
    const domain = domainOf(x.dtype);
    const loop = domain === undefined || dtypeInfo(x.dtype).kind === "bool" ? null : row[domain];
    if (loop === null) {
      throw new TenonError("TENSOR_DTYPE", {
        problem: `${op} does not take ${x.dtype}`,
        do: 'cast first, for example cast(x, "float32")',
      });
    }
    const axis = normalizeAxis(options.axis ?? -1, x.rank);
    const out = resultTensor(x.dtype, x.shape, options.into);
    if (x.size === 0) return out;
    const from = gathered<Domain>(axisLast(safeToRead(x as Tensor, out as Tensor), axis));
    const to = resultArray<Domain>(axisLast(out as Tensor, axis));
    const length = x.shape[axis]!;
    // The row's column and the arrays are chosen by the same domain.
    const walk = loop as RowLoop<never> as unknown as RowLoop<typeof from.array>;
    for (let start = 0; start < x.size; start += length) {
      walk(from.array, from.at + start, to.array, to.at + start, length);
    }
    to.deliver();
    return out;
  };
}

/**
 * exp(x) over its sum along an axis, shifted by the maximum so that nothing overflows. Floats only. Rows of 128 to 4096
 * float32 are shifted in single precision, as numpy does; their sum is kept in double precision.
 */
export const softmax = alongAxis("softmax", SOFTMAX);
/** Logarithm of softmax, computed without the detour. Floats only. */
export const logSoftmax = alongAxis("logSoftmax", LOG_SOFTMAX);
/** Running sums along an axis; floats accumulate in double precision, integers wrap. */
export const cumsum = alongAxis("cumsum", CUMSUM);
