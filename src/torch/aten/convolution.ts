/** Convolutions, pooling, and the normalisations beside them. */
import { type DType, dtypeInfo } from "../../tensor/index.js";
import type { Arguments, TensorValue } from "./arguments.js";
import { allAxes, type Emitter } from "./emitter.js";
import type { OpHandler, OpRows, OutputMeta } from "./handler.js";
import { Unsupported } from "./unsupported.js";

/** One number stands for all axes. */
function each(values: readonly number[], spatial: number): number[] {
  return values.length === 1 ? new Array<number>(spatial).fill(values[0]!) : [...values];
}

interface ConvOptions {
  readonly stride: readonly number[];
  readonly pads: readonly number[];
  readonly dilation: readonly number[];
  readonly group: number;
  readonly outputPadding?: readonly number[];
}

/** Without a batch axis one is added and taken away. */
function batched(c: Emitter, x: TensorValue, rank: number, emit: (value: string) => string): string {
  if (x.rank === rank) return emit(x.value);
  if (x.rank !== rank - 1) throw new Unsupported(`an input of rank ${x.rank}`);
  return c.squeeze(emit(c.unsqueeze(x.value, 0)), 0);
}

function convolve(
  c: Emitter,
  op: "Conv" | "ConvTranspose",
  inputs: { x: TensorValue; weight: TensorValue; bias: TensorValue | undefined },
  options: ConvOptions,
): string {
  const { x, weight, bias } = inputs;
  // PyTorch takes up to the dilation as well.
  if (options.outputPadding?.some((pad, i) => pad >= options.stride[i]!))
    throw new Unsupported("output_padding not below stride");
  return batched(c, x, weight.rank, (value) =>
    c.add(op, [value, weight.value, bias?.value], {
      kernel_shape: weight.dims.slice(2) as number[],
      strides: [...options.stride],
      pads: [...options.pads],
      dilations: [...options.dilation],
      group: options.group,
      output_padding: options.outputPadding === undefined ? undefined : [...options.outputPadding],
    }),
  );
}

const operands = (args: Arguments) => ({
  x: args.tensor("input"),
  weight: args.tensor("weight"),
  bias: args.optionalTensor("bias"),
});

const conv =
  (spatial: number): OpHandler =>
  (c, args) => {
    const inputs = operands(args);
    const padding = each(args.ints("padding", [0]), spatial);
    return convolve(c, "Conv", inputs, {
      stride: each(args.ints("stride", [1]), spatial),
      pads: [...padding, ...padding],
      dilation: each(args.ints("dilation", [1]), spatial),
      group: args.number("groups", 1),
    });
  };

/** `padding` is a word. */
const convPadding =
  (spatial: number): OpHandler =>
  (c, args) => {
    const inputs = operands(args);
    const dilation = each(args.ints("dilation", [1]), spatial);
    const word = args.text("padding", "valid");
    if (word !== "valid" && word !== "same") throw new Unsupported(`padding = ${word}`);
    const totals = dilation.map((d, i) =>
      word === "same" ? d * ((inputs.weight.dims[i + 2] as number) - 1) : 0,
    );
    const left = totals.map((total) => Math.floor(total / 2));
    return convolve(c, "Conv", inputs, {
      stride: each(args.ints("stride", [1]), spatial),
      pads: [...left, ...totals.map((total, i) => total - left[i]!)],
      dilation,
      group: args.number("groups", 1),
    });
  };

const convTranspose =
  (spatial: number): OpHandler =>
  (c, args) => {
    const padding = each(args.ints("padding", [0]), spatial);
    return convolve(c, "ConvTranspose", operands(args), {
      stride: each(args.ints("stride", [1]), spatial),
      pads: [...padding, ...padding],
      dilation: each(args.ints("dilation", [1]), spatial),
      group: args.number("groups", 1),
      outputPadding: each(args.ints("output_padding", [0]), spatial),
    });
  };

const convolution: OpHandler = (c, args) => {
  const inputs = operands(args);
  const spatial = inputs.weight.rank - 2;
  const padding = each(args.ints("padding"), spatial);
  const transposed = args.boolean("transposed", false);
  const outputPadding = each(args.ints("output_padding", [0]), spatial);
  return convolve(c, transposed ? "ConvTranspose" : "Conv", inputs, {
    stride: each(args.ints("stride"), spatial),
    pads: [...padding, ...padding],
    dilation: each(args.ints("dilation"), spatial),
    group: args.number("groups"),
    ...(transposed ? { outputPadding } : {}),
  });
};

interface Window {
  readonly kernel: readonly number[];
  readonly stride: readonly number[];
  readonly padding: readonly number[];
  readonly dilation: readonly number[];
  /** Rows after the end that the last window of ceil_mode needs. */
  readonly extra: readonly number[];
}

function windowOf(args: Arguments, x: TensorValue, meta: OutputMeta, spatial: number): Window {
  const kernel = each(args.ints("kernel_size"), spatial);
  const given = args.ints("stride", []);
  const stride = given.length === 0 ? kernel : each(given, spatial);
  const padding = each(args.ints("padding", [0]), spatial);
  const dilation = each(args.ints("dilation", [1]), spatial);
  const ceil = args.boolean("ceil_mode", false);
  const extra = kernel.map((k, i) => {
    if (!ceil) return 0;
    const size = x.dims[x.rank - spatial + i];
    const out = meta.dims[meta.rank - spatial + i];
    if (typeof size !== "number" || typeof out !== "number")
      throw new Unsupported("ceil_mode on a free axis");
    const end = (out - 1) * stride[i]! + dilation[i]! * (k - 1) + 1;
    return Math.max(0, end - size - 2 * padding[i]!);
  });
  return { kernel, stride, padding, dilation, extra };
}

const padsOf = ({ padding, extra }: Window): number[] => [
  ...padding,
  ...padding.map((pad, i) => pad + extra[i]!),
];

const maxPool =
  (spatial: number): OpHandler =>
  (c, args, meta) => {
    const x = args.tensor("self");
    const window = windowOf(args, x, meta, spatial);
    return batched(c, x, spatial + 2, (value) =>
      c.add("MaxPool", [value], {
        kernel_shape: [...window.kernel],
        strides: [...window.stride],
        pads: padsOf(window),
        dilations: [...window.dilation],
      }),
    );
  };

const avgPool =
  (spatial: number): OpHandler =>
  (c, args, meta) => {
    const x = args.tensor("self");
    if (args.has("divisor_override")) throw new Unsupported("divisor_override");
    const counted = args.boolean("count_include_pad", true);
    const window = windowOf(args, x, meta, spatial);
    const padded = window.padding.some((pad) => pad > 0);
    if (window.extra.some((rows) => rows > 0) && counted && padded) {
      throw new Unsupported("ceil_mode with count_include_pad");
    }
    return batched(c, x, spatial + 2, (value) =>
      c.add("AveragePool", [value], {
        kernel_shape: [...window.kernel],
        strides: [...window.stride],
        pads: padsOf(window),
        count_include_pad: counted && padded ? 1 : 0,
      }),
    );
  };

/** Pools into so many cells, whose bounds differ by a row where the sizes do not divide. */
const adaptiveAvgPool =
  (spatial: number): OpHandler =>
  (c, args, { dtype }) => {
    const x = args.tensor("self");
    if (x.dims.includes(0)) throw new Unsupported("pooling of no elements");
    const wanted = args.sizes("output_size").map((size, i) => {
      const axis = x.rank - spatial + i;
      if (typeof size !== "number") throw new Unsupported("a free output_size");
      return { axis, out: size, size: x.dims[axis] ?? null };
    });
    if (wanted.every(({ out }) => out === 1)) {
      return c.add("ReduceMean", [x.value, c.ints(wanted.map(({ axis }) => axis))], { keepdims: 1 });
    }
    if (wanted.every(({ out, size }) => out === size)) return x.value;
    if (wanted.some(({ size }) => size === null)) throw new Unsupported("adaptive pooling of free sizes");
    if (wanted.every(({ out, size }) => size! % out === 0)) {
      const kernel = wanted.map(({ out, size }) => size! / out);
      return batched(c, x, spatial + 2, (value) =>
        c.add("AveragePool", [value], { kernel_shape: kernel, strides: kernel }),
      );
    }
    return wanted.reduce((value, { axis, out, size }) => {
      const matrix = c.table(`cells:${size},${out}`, averaging(size!, out), dtype);
      const last = x.rank - 1;
      const perm = allAxes(x.rank);
      [perm[axis], perm[last]] = [last, axis];
      const moved = c.transpose(value, perm);
      return c.transpose(c.add("MatMul", [moved, matrix]), perm);
    }, x.value);
  };

/** [size, out]: column j averages the rows ⌊j·size/out⌋ … ⌈(j+1)·size/out⌉. */
function averaging(size: number, out: number): number[][] {
  return allAxes(size).map((row) =>
    allAxes(out).map((cell) => {
      const start = Math.floor((cell * size) / out);
      const end = Math.ceil(((cell + 1) * size) / out);
      return row >= start && row < end ? 1 / (end - start) : 0;
    }),
  );
}

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

const UPSAMPLE =
  (mode: "nearest" | "linear" | "cubic", antialias = false): OpHandler =>
  (c, args, meta) => {
    const x = args.tensor(args.has("input") ? "input" : "self");
    const aligned = args.boolean("align_corners", false);
    if (dtypeInfo(x.dtype).kind !== "float") throw new Unsupported(`resizing of ${x.dtype}`);
    const spatial = x.rank - 2;
    const attrs = {
      mode,
      nearest_mode: mode === "nearest" ? "floor" : undefined,
      coordinate_transformation_mode:
        mode === "nearest" ? "asymmetric" : aligned ? "align_corners" : "half_pixel",
      cubic_coeff_a: mode === "cubic" ? (antialias ? -0.5 : -0.75) : undefined,
      antialias: antialias ? 1 : undefined,
    };
    if (antialias && aligned) throw new Unsupported("align_corners with antialias");
    if (args.has("output_size")) {
      const sizes = args.sizes("output_size");
      const [n, ch] = [c.dim(x, 0), c.dim(x, 1)];
      return c.add("Resize", [x.value, undefined, undefined, c.shape([n, ch, ...sizes])], attrs);
    }
    const factors = args.floats("scale_factors");
    if (factors.length !== spatial) throw new Unsupported("scale_factors of another rank");
    args.ignore("output_size");
    const outs = meta.dims.slice(2);
    if (
      outs.every((size) => size !== null) &&
      factors.every((f, i) => f * (x.dims[i + 2] ?? 0) === outs[i])
    ) {
      const [n, ch] = [c.dim(x, 0), c.dim(x, 1)];
      return c.add("Resize", [x.value, undefined, undefined, c.shape([n, ch, ...(outs as number[])])], attrs);
    }
    const scales = c.table(`scales:${factors.join(",")}`, [1, 1, ...factors], "float32");
    return c.add("Resize", [x.value, undefined, scales], attrs);
  };

const gridSampler: OpHandler = (c, args) => {
  const [x, grid] = [args.tensor("input"), args.tensor("grid")];
  const mode = ["linear", "nearest", "cubic"][args.number("interpolation_mode")];
  const padding = ["zeros", "border", "reflection"][args.number("padding_mode")];
  if (mode === undefined || padding === undefined) throw new Unsupported("an unknown mode");
  if (mode === "cubic" && x.rank !== 4) throw new Unsupported("cubic sampling of volumes");
  return c.add("GridSample", [x.value, grid.value], {
    mode,
    padding_mode: padding,
    align_corners: args.boolean("align_corners", false) ? 1 : 0,
  });
};

// biome-ignore format: a table is read by columns
export const CONVOLUTION: OpRows = {
  "conv1d.default": conv(1),
  "conv2d.default": conv(2),
  "conv3d.default": conv(3),
  "conv1d.padding": convPadding(1),
  "conv2d.padding": convPadding(2),
  "conv3d.padding": convPadding(3),
  "conv_transpose1d.default": convTranspose(1),
  "conv_transpose2d.input": convTranspose(2),
  "conv_transpose3d.input": convTranspose(3),
  "convolution.default": convolution,
  "max_pool1d.default": maxPool(1),
  "max_pool2d.default": maxPool(2),
  "max_pool3d.default": maxPool(3),
  "max_pool2d_with_indices.default": maxPool(2),
  "max_pool3d_with_indices.default": maxPool(3),
  "avg_pool1d.default": avgPool(1),
  "avg_pool2d.default": avgPool(2),
  "avg_pool3d.default": avgPool(3),
  "adaptive_avg_pool1d.default": adaptiveAvgPool(1),
  "adaptive_avg_pool2d.default": adaptiveAvgPool(2),
  "_adaptive_avg_pool2d.default": adaptiveAvgPool(2),
  "adaptive_avg_pool3d.default": adaptiveAvgPool(3),
  "batch_norm.default": batchNorm,
  "_native_batch_norm_legit_no_training.default": batchNorm,
  "layer_norm.default": layerNorm,
  "native_layer_norm.default": layerNorm,
  "group_norm.default": groupNorm,
  "instance_norm.default": instanceNorm,
  "rms_norm.default": rmsNorm,
  "_weight_norm.default": weightNorm,
  "upsample_nearest1d.vec": UPSAMPLE("nearest"),
  "upsample_nearest2d.vec": UPSAMPLE("nearest"),
  "upsample_nearest3d.vec": UPSAMPLE("nearest"),
  "upsample_linear1d.vec": UPSAMPLE("linear"),
  "upsample_bilinear2d.vec": UPSAMPLE("linear"),
  "upsample_trilinear3d.vec": UPSAMPLE("linear"),
  "upsample_bicubic2d.vec": UPSAMPLE("cubic"),
  "_upsample_bicubic2d_aa.vec": UPSAMPLE("cubic", true),
  "grid_sampler.default": gridSampler,
};
