/** Inference rules of elementwise ops, reductions and normalisations. */
import { DTYPES, dtypeFromOnnx } from "../../tensor/core.js";
import type { Dim } from "../graph.js";
import { type Call, type Output, type Rule, type Shape, shaped, unknownDims } from "./call.js";
import { isCutOf } from "./dim.js";

/** Every output has the shape of the first input. */
export const sameAsInput: Rule = (call) => call.node.outputs.map(() => ({ shape: call.shape(0) }));

/** Only the first output has it. */
export const firstAsInput: Rule = (call) => shaped(call.shape(0));

/** The shape of the first input in the dtype that the attribute `name` holds; without it in that of input `like`. */
function inDtype(name: string, like?: number): Rule {
  return (call) => {
    const code = call.int(name, 0);
    const dtype = code !== 0 ? dtypeOfCode(code) : like === undefined ? undefined : call.dtype(like);
    return [{ shape: call.shape(0), dtype }];
  };
}

/** Cast, BitCast. */
export const cast = inDtype("to");
/** CastLike: the second input's dtype. */
export const castLike = inDtype("", 1);
/** EyeLike, Bernoulli, RandomNormalLike, …: the first input's dtype unless `dtype` says another. */
export const likeInput = inDtype("dtype", 0);

export function dtypeOfCode(code: number): Output["dtype"] {
  return dtypeFromOnnx(code);
}

/** Multidirectional broadcasting of all inputs. */
export const broadcast: Rule = (call) => {
  const shapes = call.node.inputs.map((_, i) => call.shape(i));
  return shaped(broadcastAll(call, shapes));
};

/** Opset < 7 aligned with an axis: nothing is said then. */
export function broadcastAll(call: Call, shapes: readonly (Shape | undefined)[]): Shape | undefined {
  if (call.node.attrs.has("broadcast") || call.node.attrs.has("axis")) return shapes[0];
  const known = shapes.filter((shape) => shape !== undefined);
  if (known.length < shapes.length) return undefined;
  const rank = Math.max(0, ...known.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, i) => {
    const dims = known.flatMap((shape) => {
      const at = i - (rank - shape.length);
      return at < 0 ? [] : [shape[at]!];
    });
    return broadcastDims(call, dims);
  });
}

export function broadcastDims(call: Call, dims: readonly Dim[]): Dim {
  let result: Dim = 1;
  for (const dim of dims) {
    if (dim === 1 || dim === result || isCutOf(dim, result)) continue;
    if (result === 1 || isCutOf(result, dim)) result = dim;
    else if (typeof result === "number") {
      if (typeof dim === "number") {
        throw call.fail("combines shapes that do not broadcast", `sizes ${result} and ${dim}`);
      }
    } else if (typeof dim === "number") result = dim;
    else result = null;
  }
  return result;
}

/** Reductions: axes as attribute or second input; without them all, or none when `noop_with_empty_axes`. */
export const reduce: Rule = (call) => {
  const shape = call.shape(0);
  const keep = call.int("keepdims", 1) !== 0;
  const given = call.axes("axes", 1);
  if (shape === undefined) return shaped(undefined);
  if (given === "unknown") return shaped(keep ? unknownDims(shape.length) : undefined);
  const none = given === "absent" || given.length === 0;
  if (none && call.int("noop_with_empty_axes", 0) !== 0) return shaped(shape);
  const axes = new Set(none ? shape.keys() : given.map((axis) => call.axis(axis, shape.length)));
  return shaped(withoutAxes(shape, axes, keep));
};

function withoutAxes(shape: Shape, axes: ReadonlySet<number>, keep: boolean): Shape {
  if (keep) return shape.map((dim, i) => (axes.has(i) ? 1 : dim));
  return shape.filter((_, i) => !axes.has(i));
}

/** ArgMax, ArgMin: one axis. */
export const argReduce: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === undefined) return [];
  const axis = call.axis(call.int("axis", 0), shape.length);
  return shaped(withoutAxes(shape, new Set([axis]), call.int("keepdims", 1) !== 0));
};

/** BatchNormalization: the normalised value, then statistics of one value a channel. */
export const batchNorm: Rule = (call) => {
  const channels = call.shape(1) ?? (call.rank(0) === undefined ? undefined : [call.shape(0)![1] ?? null]);
  return call.node.outputs.map((_, i) => ({ shape: i === 0 ? call.shape(0) : channels }));
};

/** LayerNormalization: the normalised value, then statistics with 1 for each normalised axis. */
export const layerNorm: Rule = (call) => {
  const shape = call.shape(0);
  if (shape === undefined) return [];
  const axis = call.axis(call.int("axis", -1), shape.length);
  const statistics = shape.map((dim, i) => (i < axis ? dim : 1));
  const dtype = dtypeOfCode(call.int("stash_type", DTYPES.float32.onnx));
  return call.node.outputs.map((_, i) => (i === 0 ? { shape } : { shape: statistics, dtype }));
};

/** SkipLayerNormalization: the fourth output is the sum of input and skip. */
export const skipLayerNorm: Rule = (call) => {
  const shape = call.shape(0);
  return [{ shape }, undefined, undefined, { shape }];
};

/** QuantizeLinear: the zero point's dtype, or the one that `output_dtype` names. */
export const quantize: Rule = (call) => {
  const code = call.int("output_dtype", 0);
  const dtype = code !== 0 ? dtypeOfCode(code) : call.has(2) ? call.dtype(2) : "uint8";
  return [{ shape: call.shape(0), dtype }];
};

/** DequantizeLinear: the scale's dtype, or the one that `output_dtype` names. */
export const dequantize: Rule = (call) => {
  const code = call.int("output_dtype", 0);
  return [{ shape: call.shape(0), dtype: code !== 0 ? dtypeOfCode(code) : call.dtype(1) }];
};

/** DynamicQuantizeLinear: the quantised value, its scale and its zero point. */
export const dynamicQuantize: Rule = (call) => [{ shape: call.shape(0) }, { shape: [] }, { shape: [] }];

/** SoftmaxCrossEntropyLoss: a scalar, or a value an element; then the log-probabilities. */
export const crossEntropy: Rule = (call) => [
  { shape: call.text("reduction", "mean") === "none" ? call.shape(1) : [] },
  { shape: call.shape(0) },
];

export const negativeLogLikelihood: Rule = (call) =>
  shaped(call.text("reduction", "mean") === "none" ? call.shape(1) : []);
