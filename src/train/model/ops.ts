/** Arithmetic on values of a graph under construction: one function per op, with numpy's broadcasting. */
import { TenonError } from "../../base/index.js";
import { type DType, dtypeInfo } from "../../tensor/index.js";
import { Var } from "./tape.js";

/** A value, or a number that takes the dtype of the other operand. */
export type Operand = Var | number;

function pair(a: Operand, b: Operand): [Var, Var] {
  if (a instanceof Var) return [a, b instanceof Var ? b : a.tape.constant(b, a.dtype)];
  if (b instanceof Var) return [b.tape.constant(a, b.dtype), b];
  throw new TenonError("USAGE", {
    problem: "arithmetic on two numbers builds no graph",
    do: "compute it directly",
  });
}

const binary =
  (op: string) =>
  (a: Operand, b: Operand): Var => {
    const [left, right] = pair(a, b);
    return left.tape.op(op, [left, right]);
  };

const unary =
  (op: string) =>
  (x: Var): Var =>
    x.tape.op(op, [x]);

export const add: (a: Operand, b: Operand) => Var = binary("Add");
export const sub: (a: Operand, b: Operand) => Var = binary("Sub");
export const mul: (a: Operand, b: Operand) => Var = binary("Mul");
export const div: (a: Operand, b: Operand) => Var = binary("Div");
export const pow: (a: Operand, b: Operand) => Var = binary("Pow");
export const maximum: (a: Operand, b: Operand) => Var = binary("Max");
export const minimum: (a: Operand, b: Operand) => Var = binary("Min");
/** The product of matrices, over leading axes together. */
export const matmul: (a: Var, b: Var) => Var = binary("MatMul");
export const equal: (a: Operand, b: Operand) => Var = binary("Equal");
export const greater: (a: Operand, b: Operand) => Var = binary("Greater");
export const less: (a: Operand, b: Operand) => Var = binary("Less");

export const neg: (x: Var) => Var = unary("Neg");
export const exp: (x: Var) => Var = unary("Exp");
export const log: (x: Var) => Var = unary("Log");
export const sqrt: (x: Var) => Var = unary("Sqrt");
export const abs: (x: Var) => Var = unary("Abs");
export const relu: (x: Var) => Var = unary("Relu");
export const tanh: (x: Var) => Var = unary("Tanh");
export const sigmoid: (x: Var) => Var = unary("Sigmoid");
export const softplus: (x: Var) => Var = unary("Softplus");

/** x · Φ(x); `approximate: "tanh"` is the usual approximation. */
export function gelu(x: Var, { approximate = "none" }: { readonly approximate?: "none" | "tanh" } = {}): Var {
  return x.tape.op("Gelu", [x], { approximate });
}

/** x · sigmoid(x). */
export function silu(x: Var): Var {
  return mul(x, sigmoid(x));
}

/** `slope` (default 0.01) times the negative part. */
export function leakyRelu(x: Var, slope = 0.01): Var {
  return x.tape.op("LeakyRelu", [x], { alpha: slope });
}

export function softmax(x: Var, axis = -1): Var {
  return x.tape.op("Softmax", [x], { axis });
}

export function logSoftmax(x: Var, axis = -1): Var {
  return x.tape.op("LogSoftmax", [x], { axis });
}

/** `yes` where the condition holds, else `no`. */
export function where(condition: Var, yes: Operand, no: Operand): Var {
  const [a, b] = pair(yes, no);
  return condition.tape.op("Where", [condition, a, b]);
}

export function cast(x: Var, dtype: DType): Var {
  return x.dtype === dtype ? x : x.tape.op("Cast", [x], { to: dtypeInfo(dtype).onnx! });
}

/** Values below `low` become it, those above `high` likewise. */
export function clip(x: Var, low: number, high: number): Var {
  return x.tape.op("Clip", [x, x.tape.constant(low, x.dtype), x.tape.constant(high, x.dtype)]);
}

/** The same value; no gradient flows through it. */
export function stopGradient(x: Var): Var {
  const stopped = x.tape.op("Identity", [x]);
  x.tape.markStopped(stopped);
  return stopped;
}

// ── layout ─────────────────────────────────────────────────────────────────────────────────────

/** ONNX's Reshape: 0 keeps a size, −1 is what is left. */
export function reshape(x: Var, dims: readonly number[]): Var {
  return x.tape.op("Reshape", [x, x.tape.ints(dims)]);
}

/** Axes from `axis` (default 1) on as one. */
export function flatten(x: Var, axis = 1): Var {
  return x.tape.op("Flatten", [x], { axis });
}

/** Axes in another order; default: reversed. */
export function transpose(x: Var, perm: readonly number[] = x.shape.map((_, i) => x.rank - 1 - i)): Var {
  return x.tape.op("Transpose", [x], { perm });
}

export function concat(parts: readonly [Var, ...Var[]], axis: number): Var {
  return parts[0].tape.op("Concat", parts, { axis });
}

export function unsqueeze(x: Var, axes: readonly number[]): Var {
  return x.tape.op("Unsqueeze", [x, x.tape.ints(axes)]);
}

export function squeeze(x: Var, axes: readonly number[]): Var {
  return x.tape.op("Squeeze", [x, x.tape.ints(axes)]);
}

/** Elements [start, end) of an axis; negative counts from the end. */
export function slice(x: Var, axis: number, start: number, end: number = Number.MAX_SAFE_INTEGER): Var {
  const { tape } = x;
  return tape.op("Slice", [x, tape.ints([start]), tape.ints([end]), tape.ints([axis])]);
}

/** Slices of `x` along an axis (default 0) at whole-number indices. */
export function gather(x: Var, indices: Var, axis = 0): Var {
  return x.tape.op("Gather", [x, indices], { axis });
}

/** One element of the axis (default −1) for each index; `indices` has the rank of `x`. */
export function gatherElements(x: Var, indices: Var, axis = -1): Var {
  return x.tape.op("GatherElements", [x, indices], { axis });
}

// ── reductions ─────────────────────────────────────────────────────────────────────────────────

export interface ReduceOptions {
  /** Default: all. */
  readonly axes?: readonly number[];
  /** Keep reduced axes with size 1; default false. */
  readonly keep?: boolean;
}

const reduction =
  (op: string) =>
  (x: Var, { axes, keep = false }: ReduceOptions = {}): Var =>
    x.tape.op(op, axes === undefined ? [x] : [x, x.tape.ints(axes)], { keepdims: keep ? 1 : 0 });

export const sum: (x: Var, options?: ReduceOptions) => Var = reduction("ReduceSum");
export const mean: (x: Var, options?: ReduceOptions) => Var = reduction("ReduceMean");
export const max: (x: Var, options?: ReduceOptions) => Var = reduction("ReduceMax");
export const min: (x: Var, options?: ReduceOptions) => Var = reduction("ReduceMin");
