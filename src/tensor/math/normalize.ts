/** Compositions that models' inputs and outputs need: unit vectors, and the mean and deviation of a data set. */
import { TenonError } from "../../base/index.js";
import type { DType } from "../dtype.js";
import { normalizeAxis } from "../layout.js";
import { tensor } from "../make.js";
import type { Tensor } from "../tensor.js";
import type { AxisOptions } from "./along-axis.js";
import { div, maximum, sub } from "./binary.js";
import { sum } from "./reduce.js";
import { sqrt, square } from "./unary.js";

/** Options of `normalize`. */
export interface NormalizeOptions<D extends DType = DType> extends AxisOptions<D> {
  /** Least length that is divided by, so that a zero vector stays zero. Default 1e-12 (float16: 1e-7). */
  readonly epsilon?: number | undefined;
}

/** Vectors along an axis (default -1) divided by their Euclidean length: embeddings of length 1. Floats only. */
export function normalize<D extends DType>(
  x: Tensor<D>,
  options: NormalizeOptions<NoInfer<D>> = {},
): Tensor<D> {
  const axis = options.axis ?? -1;
  const epsilon = options.epsilon ?? (x.dtype === "float16" ? 1e-7 : 1e-12);
  const length = sqrt(sum(square(x), { axis, keepDims: true }));
  return div(x, maximum(length, epsilon), { into: options.into });
}

/** Options of `standardize`. */
export interface StandardizeOptions<D extends DType = DType> extends AxisOptions<D> {
  /** One number, or one for each index of the axis. */
  readonly mean: number | readonly number[];
  readonly std: number | readonly number[];
}

/**
 * (x − mean) / std with given numbers, for each channel its own when lists are given; the axis is then the channels'
 * (default -1; 1 for NCHW images). Floats only.
 *
 * @example standardize(image, { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], axis: 1 })
 */
export function standardize<D extends DType>(
  x: Tensor<D>,
  options: StandardizeOptions<NoInfer<D>>,
): Tensor<D> {
  const axis = normalizeAxis(options.axis ?? -1, Math.max(x.rank, 1));
  const centered = sub(x, along(x, options.mean, axis, "mean"), { into: options.into });
  return div(centered, along(x, options.std, axis, "std"), { into: centered });
}

function along<D extends DType>(
  x: Tensor<D>,
  values: number | readonly number[],
  axis: number,
  name: string,
): Tensor<D> | number {
  if (typeof values === "number") return values;
  if (values.length !== x.shape[axis]) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: `${name} does not fit axis ${axis}`,
      given: `${values.length} numbers`,
      expected: `${x.shape[axis] ?? 1}, one for each index of it`,
    });
  }
  return tensor(values, { dtype: x.dtype, shape: x.shape.map((dim, i) => (i === axis ? dim : 1)) });
}
