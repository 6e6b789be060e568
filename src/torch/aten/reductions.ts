/** Reductions along axes, and ops whose result depends on an order along one. */
import { type DType, dtypeInfo } from "../../tensor/index.js";
import type { Arguments, TensorValue } from "./arguments.js";
import { truth } from "./comparison.js";
import { allAxes, axesOf, axisOf, type Emitter, isFloat } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

/** The axes that are reduced: without `dim`, and for an empty list, all. */
function axesIn(args: Arguments, x: TensorValue, name = "dim"): number[] {
  const given = args.sizesOrOne(name);
  if (given.length === 0) return allAxes(x.rank);
  return axesOf(given, x.rank);
}

function reduce(
  c: Emitter,
  op: string,
  value: string,
  x: TensorValue,
  axes: readonly number[],
  keep: boolean,
): string {
  if (x.rank === 0) return c.add(op, [value], { keepdims: 0 });
  return c.add(op, [value, c.ints(axes)], { keepdims: keep ? 1 : 0 });
}

const reduction =
  (op: string): OpHandler =>
  (c, args, { dtype }) => {
    const x = args.tensor("self");
    args.ignore("dtype");
    return reduce(c, op, c.as(x, dtype), x, axesIn(args, x), args.boolean("keepdim", false));
  };

/** Which elements are NaN, as numbers, and `over` of them; undefined for dtypes without. */
function notNumbers(
  c: Emitter,
  x: TensorValue,
  over: (marks: string) => string,
): { marks: string; some: string } | undefined {
  if (!isFloat(x.dtype)) return undefined;
  const marks = c.cast(c.add("IsNaN", [x.value]), "bool", "int32");
  return { marks, some: c.cast(over(marks), "int32", "bool") };
}

/** PyTorch gives NaN where one is among the elements, the runtime's kernels pass over it. */
function orNaN(c: Emitter, some: string | undefined, value: string, dtype: DType): string {
  return some === undefined ? value : c.add("Where", [some, c.scalar(Number.NaN, dtype), value]);
}

/** Integers in which the runtime compares. */
const extreme =
  (op: "ReduceMax" | "ReduceMin"): OpHandler =>
  (c, args, { dtype }) => {
    const x = args.tensor("self");
    const inner = dtype === "bool" || dtypeInfo(dtype).bits < 16 ? "int32" : dtype;
    const [axes, keep] = [axesIn(args, x), args.boolean("keepdim", false)];
    const value = reduce(c, op, c.as(x, inner), x, axes, keep);
    const nan = notNumbers(c, x, (marks) => reduce(c, "ReduceMax", marks, x, axes, keep));
    return orNaN(c, nan?.some, c.cast(value, inner, dtype), dtype);
  };

const anyOf =
  (op: "ReduceMax" | "ReduceMin"): OpHandler =>
  (c, args, { dtype }) => {
    const x = args.tensor("self");
    const value = c.cast(truth(c, x), "bool", "int32");
    const reduced = reduce(c, op, value, x, axesIn(args, x), args.boolean("keepdim", false));
    return c.cast(reduced, "int32", dtype);
  };

const countNonZero: OpHandler = (c, args, { dtype }) => {
  const x = args.tensor("self");
  return reduce(c, "ReduceSum", c.cast(truth(c, x), "bool", dtype), x, axesIn(args, x), false);
};

const arg =
  (op: "ArgMax" | "ArgMin"): OpHandler =>
  (c, args) => {
    const x = args.tensor("self");
    const value = dtypeInfo(x.dtype).bits < 32 ? c.cast(x.value, x.dtype, "float32") : x.value;
    if (!args.has("dim") || x.rank === 0) {
      if (args.boolean("keepdim", false)) throw new Unsupported("keepdim without dim");
      args.ignore("dim");
      const flat = { ...x, value: c.reshape(x.value, [-1]), rank: 1 };
      return placeOf(c, op, flat, value === x.value ? flat.value : c.reshape(value, [-1]), 0, 0);
    }
    const axis = axisOf(args.number("dim"), x.rank);
    return placeOf(c, op, x, value, axis, args.boolean("keepdim", false) ? 1 : 0);
  };

/** The place of the extreme of `value`, which is `x` in a dtype that the runtime takes; of the first NaN, if there is one. */
function placeOf(
  c: Emitter,
  op: "ArgMax" | "ArgMin",
  x: TensorValue,
  value: string,
  axis: number,
  keepdims: 0 | 1,
): string {
  const place = c.add(op, [value], { axis, keepdims });
  const nan = notNumbers(c, x, (marks) => c.add("ReduceMax", [marks, c.ints([axis])], { keepdims }));
  if (nan === undefined) return place;
  return c.add("Where", [nan.some, c.add("ArgMax", [nan.marks], { axis, keepdims }), place]);
}

/** Values and their places along one axis. */
const extremeWithIndex =
  (op: "ReduceMax" | "ReduceMin", index: "ArgMax" | "ArgMin"): OpHandler =>
  (c, args) => {
    const x = args.tensor("self");
    if (x.rank === 0 || dtypeInfo(x.dtype).bits < 32)
      throw new Unsupported(`max of ${x.dtype}, rank ${x.rank}`);
    const axis = axisOf(args.number("dim"), x.rank);
    const keepdims = args.boolean("keepdim", false) ? 1 : 0;
    const value = c.add(op, [x.value, c.ints([axis])], { keepdims });
    const nan = notNumbers(c, x, (marks) => c.add("ReduceMax", [marks, c.ints([axis])], { keepdims }));
    return [orNaN(c, nan?.some, value, x.dtype), placeOf(c, index, x, x.value, axis, keepdims)];
  };

/** Variance with a correction to the number of elements, and the mean it is about. */
function variance(c: Emitter, args: Arguments, dtype: DType): { variance: string; mean: string } {
  const x = args.tensor("self");
  const axes = axesIn(args, x);
  const keep = args.boolean("keepdim", false);
  let correction = 1;
  if (args.has("correction")) correction = args.number("correction");
  if (args.has("unbiased")) correction = args.boolean("unbiased", true) ? 1 : 0;
  if (x.rank === 0 || x.dims.includes(0)) throw new Unsupported("variance of a scalar or of nothing");
  const value = c.as(x, dtype);
  const mean = c.add("ReduceMean", [value, c.ints(axes)], { keepdims: 1 });
  const apart = c.add("Sub", [value, mean]);
  const square = c.add("Mul", [apart, apart]);
  const total = reduce(c, "ReduceSum", square, x, axes, keep);
  const sizes = axes.map((axis) => c.dim(x, axis));
  let count: string;
  if (sizes.every((size) => typeof size === "number")) {
    const n = sizes.reduce((product, size) => product * size, 1);
    count = c.scalar(Math.max(0, n - correction), dtype);
  } else {
    const n = sizes.map((size) => c.sizeValue(size)).reduce((a, b) => c.add("Mul", [a, b]));
    const less = c.add("Sub", [c.cast(n, "int64", dtype), c.scalar(correction, dtype)]);
    count = c.add("Max", [less, c.scalar(0, dtype)]);
  }
  return {
    variance: c.add("Div", [total, count]),
    mean: keep ? mean : c.squeeze(mean, ...axes),
  };
}

const vectorNorm: OpHandler = (c, args, { dtype }) => {
  const x = args.tensor("self");
  args.ignore("dtype");
  const order = args.number(args.has("p") ? "p" : "ord", 2);
  const axes = axesIn(args, x);
  const keep = args.boolean("keepdim", false);
  const value = c.as(x, dtype);
  const over = (op: string, y: string): string => reduce(c, op, y, x, axes, keep);
  const extremeOf = (op: string): string => {
    const nan = notNumbers(c, x, (marks) => over("ReduceMax", marks));
    return orNaN(c, nan?.some, over(op, c.add("Abs", [value])), dtype);
  };
  switch (order) {
    case 2:
      return over("ReduceL2", value);
    case 1:
      return over("ReduceL1", value);
    case Number.POSITIVE_INFINITY:
      return extremeOf("ReduceMax");
    case Number.NEGATIVE_INFINITY:
      return extremeOf("ReduceMin");
    default:
      throw new Unsupported(`ord = ${order}`);
  }
};

const softmax =
  (op: "Softmax" | "LogSoftmax"): OpHandler =>
  (c, args, { dtype }) => {
    const x = args.tensor("self");
    args.ignore("dtype");
    if (args.boolean("half_to_float", false)) throw new Unsupported("half_to_float");
    const axis = axisOf(args.number("dim"), x.rank);
    const value = c.as(x, dtype);
    if (x.rank > 0) return c.add(op, [value], { axis });
    return c.squeeze(c.add(op, [c.unsqueeze(value, 0)], { axis: 0 }), 0);
  };

const cumsum: OpHandler = (c, args, { dtype }) => {
  const x = args.tensor("self");
  args.ignore("dtype");
  if (x.rank === 0) return c.as(x, dtype);
  const axis = axisOf(args.number("dim"), x.rank);
  const inner = dtypeInfo(dtype).bits < 32 ? "float32" : dtype;
  return c.cast(c.add("CumSum", [c.as(x, inner), c.int(axis)]), inner, dtype);
};

/** Values and indices of the `k` largest or smallest along an axis. */
function ordered(c: Emitter, args: Arguments, k: string | undefined, largest: boolean): string[] {
  const x = args.tensor("self");
  if (x.rank === 0) throw new Unsupported("order of a scalar");
  const axis = axisOf(args.number("dim", -1), x.rank);
  const count = k ?? c.shape([c.dim(x, axis)]);
  return c.addMany("TopK", [x.value, count], { axis, largest: largest ? 1 : 0, sorted: 1 }, 2);
}

const sort: OpHandler = (c, args) => {
  args.ignore("stable");
  return ordered(c, args, undefined, args.boolean("descending", false));
};

// biome-ignore format: a table is read by columns
export const REDUCTIONS: OpRows = {
  "sum.default": reduction("ReduceSum"),
  "sum.dim_IntList": reduction("ReduceSum"),
  "mean.default": reduction("ReduceMean"),
  "mean.dim": reduction("ReduceMean"),
  "prod.default": reduction("ReduceProd"),
  "prod.dim_int": reduction("ReduceProd"),
  "amax.default": extreme("ReduceMax"),
  "amin.default": extreme("ReduceMin"),
  "max.default": extreme("ReduceMax"),
  "min.default": extreme("ReduceMin"),
  "max.dim": extremeWithIndex("ReduceMax", "ArgMax"),
  "min.dim": extremeWithIndex("ReduceMin", "ArgMin"),
  "any.default": anyOf("ReduceMax"),
  "any.dim": anyOf("ReduceMax"),
  "any.dims": anyOf("ReduceMax"),
  "all.default": anyOf("ReduceMin"),
  "all.dim": anyOf("ReduceMin"),
  "argmax.default": arg("ArgMax"),
  "argmin.default": arg("ArgMin"),
  "logsumexp.default": reduction("ReduceLogSumExp"),
  "var.correction": (c, args, { dtype }) => variance(c, args, dtype).variance,
  "var.dim": (c, args, { dtype }) => variance(c, args, dtype).variance,
  "var.default": (c, args, { dtype }) => variance(c, args, dtype).variance,
  "std.correction": (c, args, { dtype }) => c.add("Sqrt", [variance(c, args, dtype).variance]),
  "std.dim": (c, args, { dtype }) => c.add("Sqrt", [variance(c, args, dtype).variance]),
  "std.default": (c, args, { dtype }) => c.add("Sqrt", [variance(c, args, dtype).variance]),
  "std_mean.correction": (c, args, { dtype }) => { const { variance: v, mean } = variance(c, args, dtype); return [c.add("Sqrt", [v]), mean]; },
  "aminmax.default": (c, args, meta, outputs) => ["ReduceMin", "ReduceMax"].map((op) => extreme(op as "ReduceMin" | "ReduceMax")(c, args, meta, outputs) as string),
  "count_nonzero.default": countNonZero,
  "count_nonzero.dim_IntList": countNonZero,
  "var_mean.correction": (c, args, { dtype }) => { const { variance: v, mean } = variance(c, args, dtype); return [v, mean]; },
  "linalg_vector_norm.default": vectorNorm,
  "norm.ScalarOpt_dim": vectorNorm,
  "norm.Scalar": vectorNorm,
  "softmax.int": softmax("Softmax"),
  "_softmax.default": softmax("Softmax"),
  "log_softmax.int": softmax("LogSoftmax"),
  "_log_softmax.default": softmax("LogSoftmax"),
  "cumsum.default": cumsum,
  "topk.default": (c, args) => { args.ignore("sorted"); return ordered(c, args, c.shape([args.size("k")]), args.boolean("largest", true)); },
  "sort.default": sort,
  "sort.stable": sort,
  "argsort.default": (c, args) => ordered(c, args, undefined, args.boolean("descending", false))[1]!,
};
