/** Normalisations. */
import type { DType } from "../../tensor/index.js";
import type { TensorValue } from "./arguments.js";
import { allAxes, type Emitter } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

function channelsOf(x: TensorValue): number {
  const channels = x.dims[1];
  if (typeof channels !== "number") throw new Unsupported("a free number of channels");
  return channels;
}

function orFilled(c: Emitter, x: TensorValue | undefined, fill: number, count: number, dtype: DType): string {
  return x === undefined ? c.filled(fill, count, dtype) : c.as(x, dtype);
}

const batchNorm: OpHandler = (c, args, { dtype }) => {
  const x = args.tensor("input");
  const [weight, bias] = [args.optionalTensor("weight"), args.optionalTensor("bias")];
  const [mean, variance] = [args.optionalTensor("running_mean"), args.optionalTensor("running_var")];
  args.ignore("momentum", "cudnn_enabled");
  const epsilon = args.number("eps", 1e-5);
  const channels = channelsOf(x);
  const scale = orFilled(c, weight, 1, channels, dtype);
  const shift = orFilled(c, bias, 0, channels, dtype);
  const training = args.boolean("training", false);
  if (mean !== undefined && variance !== undefined && !training) {
    return c.add("BatchNormalization", [x.value, scale, shift, mean.value, variance.value], { epsilon });
  }
  if (mean !== undefined) {
    throw new Unsupported("batch_norm in training; call model.eval() before the export");
  }
  const axes = allAxes(x.rank).filter((axis) => axis !== 1);
  return affine(c, standardised(c, x.value, axes, epsilon, dtype), scale, shift, channels, x.rank);
};

function standardised(c: Emitter, x: string, axes: readonly number[], epsilon: number, dtype: DType): string {
  const apart = c.add("Sub", [x, c.add("ReduceMean", [x, c.ints(axes)], { keepdims: 1 })]);
  const variance = c.add("ReduceMean", [c.add("Mul", [apart, apart]), c.ints(axes)], { keepdims: 1 });
  return c.add("Div", [apart, c.add("Sqrt", [c.add("Add", [variance, c.scalar(epsilon, dtype)])])]);
}

function affine(
  c: Emitter,
  x: string,
  scale: string | undefined,
  shift: string | undefined,
  channels: number,
  rank: number,
): string {
  const dims = [channels, ...new Array<number>(rank - 2).fill(1)];
  const grown = scale === undefined ? x : c.add("Mul", [x, c.reshape(scale, dims)]);
  return shift === undefined ? grown : c.add("Add", [grown, c.reshape(shift, dims)]);
}

const layerNorm: OpHandler = (c, args, { dtype }) => {
  const x = args.tensor("input");
  const shape = args.ints("normalized_shape");
  const [weight, bias] = [args.optionalTensor("weight"), args.optionalTensor("bias")];
  args.ignore("cudnn_enable", "cudnn_enabled");
  const epsilon = args.number("eps", 1e-5);
  const count = shape.reduce((product, size) => product * size, 1);
  const whole = (fill: number): string => {
    const flat = c.filled(fill, count, dtype);
    return shape.length === 1 ? flat : c.reshape(flat, shape);
  };
  return c.add(
    "LayerNormalization",
    [
      x.value,
      weight === undefined ? whole(1) : c.as(weight, dtype),
      bias === undefined ? whole(0) : c.as(bias, dtype),
    ],
    { axis: -shape.length, epsilon },
  );
};

const groupNorm: OpHandler = (c, args, { dtype }) => {
  const x = args.tensor("input");
  const groups = args.number("num_groups");
  const [weight, bias] = [args.optionalTensor("weight"), args.optionalTensor("bias")];
  args.ignore("cudnn_enabled");
  const epsilon = args.number("eps", 1e-5);
  const grouped = c.add("Reshape", [x.value, c.ints([0, groups, -1])]);
  const [ones, zeros] = [c.filled(1, groups, dtype), c.filled(0, groups, dtype)];
  const normal = c.add("InstanceNormalization", [grouped, ones, zeros], { epsilon });
  const back = c.reshapeLike(normal, x);
  return affine(
    c,
    back,
    weight === undefined ? undefined : c.as(weight, dtype),
    bias === undefined ? undefined : c.as(bias, dtype),
    channelsOf(x),
    x.rank,
  );
};

const instanceNorm: OpHandler = (c, args, { dtype }) => {
  const x = args.tensor("input");
  const [weight, bias] = [args.optionalTensor("weight"), args.optionalTensor("bias")];
  args.ignore("momentum", "cudnn_enabled", "running_mean", "running_var");
  args.only("use_input_stats", true);
  const channels = channelsOf(x);
  const [scale, shift] = [orFilled(c, weight, 1, channels, dtype), orFilled(c, bias, 0, channels, dtype)];
  return c.add("InstanceNormalization", [x.value, scale, shift], { epsilon: args.number("eps", 1e-5) });
};

const EPSILON: Partial<Record<DType, number>> = { float32: 2 ** -23, float64: 2 ** -52, float16: 2 ** -10 };

const rmsNorm: OpHandler = (c, args, { dtype }) => {
  const x = args.tensor("input");
  const shape = args.ints("normalized_shape");
  const weight = args.optionalTensor("weight");
  const epsilon = args.has("eps") ? args.number("eps") : EPSILON[dtype];
  if (epsilon === undefined) throw new Unsupported(`the default eps of ${dtype}`);
  const axes = shape.map((_, i) => x.rank - shape.length + i);
  const square = c.add("ReduceMean", [c.add("Mul", [x.value, x.value]), c.ints(axes)], { keepdims: 1 });
  const root = c.add("Sqrt", [c.add("Add", [square, c.scalar(epsilon, dtype)])]);
  const normal = c.add("Div", [x.value, root]);
  return weight === undefined ? normal : c.add("Mul", [normal, c.as(weight, dtype)]);
};

const weightNorm: OpHandler = (c, args, { dtype }) => {
  const [v, g] = [args.tensor("v"), args.tensor("g")];
  const axis = args.number("dim", 0);
  const axes = allAxes(v.rank).filter((other) => other !== axis);
  const norm = c.add("ReduceL2", [c.as(v, dtype), c.ints(axes)], { keepdims: 1 });
  return c.add("Mul", [c.as(v, dtype), c.add("Div", [c.as(g, dtype), norm])]);
};

// biome-ignore format: a table is read by columns
export const NORMALIZATION: OpRows = {
  "batch_norm.default": batchNorm,
  "_native_batch_norm_legit_no_training.default": batchNorm,
  "layer_norm.default": layerNorm,
  "native_layer_norm.default": layerNorm,
  "group_norm.default": groupNorm,
  "instance_norm.default": instanceNorm,
  "rms_norm.default": rmsNorm,
  "_weight_norm.default": weightNorm,
};
