/** Layers over windows of images and sequences: convolutions and pools, channels first ([N, C, ...]). */
import { TenonError } from "../../base/index.js";
import { type Initializer, kaimingUniform, uniformInit } from "../model/initializers.js";
import type { Var } from "../model/tape.js";
import { count } from "./dense.js";

/** One number for all spatial axes, or one each. */
export type PerAxis = number | readonly number[];

export interface ConvOptions {
  /** Size of the window. */
  readonly kernel: PerAxis;
  /** Default 1. */
  readonly stride?: PerAxis;
  /** Zeros on both sides; `same`: so many that stride 1 keeps the size. Default 0. */
  readonly padding?: PerAxis | "same";
  /** Default 1. */
  readonly dilation?: PerAxis;
  /** Channels in and out are split into so many; default 1. */
  readonly groups?: number;
  /** Default true. */
  readonly bias?: boolean;
  readonly name?: string;
  readonly init?: Initializer;
  readonly biasInit?: Initializer;
}

export interface PoolOptions {
  readonly kernel: PerAxis;
  /** Default: the kernel. */
  readonly stride?: PerAxis;
  /** Default 0. */
  readonly padding?: PerAxis;
}

function spread(what: string, value: PerAxis, axes: number, least: number): number[] {
  const list = typeof value === "number" ? new Array<number>(axes).fill(value) : [...value];
  if (list.length === axes && list.every((each) => Number.isInteger(each) && each >= least)) return list;
  throw new TenonError("USAGE", {
    problem: what,
    given: list.join(" × "),
    expected: `${axes} whole numbers, ${least} or more`,
  });
}

function spatial(x: Var): number {
  if (x.rank >= 3) return x.rank - 2;
  throw new TenonError("TENSOR_SHAPE", {
    problem: "windows need values of shape [N, C, ...]",
    given: `rank ${x.rank}`,
    expected: "rank 3 or more",
  });
}

/** Pads at the front, then at the end, of each spatial axis. */
function padsOf(padding: PerAxis | "same", kernel: readonly number[], dilation: readonly number[]): number[] {
  if (padding !== "same") {
    const each = spread("padding", padding, kernel.length, 0);
    return [...each, ...each];
  }
  const total = kernel.map((size, i) => (size - 1) * dilation[i]!);
  return [...total.map((each) => Math.floor(each / 2)), ...total.map((each) => Math.ceil(each / 2))];
}

/** Convolution to `channels` channels, of as many spatial axes as `x` has. Parameters: `weight` [out, in / groups, ...], `bias`. */
export function conv(x: Var, channels: number, options: ConvOptions): Var {
  count("the number of channels", channels);
  const axes = spatial(x);
  const { tape } = x;
  const kernel = spread("kernel", options.kernel, axes, 1);
  const dilations = spread("dilation", options.dilation ?? 1, axes, 1);
  const groups = count("groups", options.groups ?? 1);
  const input = x.size(1);
  if (input % groups !== 0 || channels % groups !== 0) {
    throw new TenonError("USAGE", {
      problem: `${groups} groups do not divide the channels`,
      given: `${input} in, ${channels} out`,
    });
  }
  const name = tape.scope(options.name ?? "conv");
  const window = kernel.reduce((product, size) => product * size, 1);
  const fans = { in: (input / groups) * window, out: (channels / groups) * window };
  const weight = tape.parameter(`${name}.weight`, [channels, input / groups, ...kernel], {
    init: options.init ?? kaimingUniform(),
    fans,
  });
  const bound = 1 / Math.sqrt(fans.in);
  const bias =
    options.bias === false
      ? undefined
      : tape.parameter(`${name}.bias`, [channels], { init: options.biasInit ?? uniformInit(-bound, bound) });
  return tape.op("Conv", bias === undefined ? [x, weight] : [x, weight, bias], {
    kernel_shape: kernel,
    strides: spread("stride", options.stride ?? 1, axes, 1),
    dilations,
    group: groups,
    pads: padsOf(options.padding ?? 0, kernel, dilations),
  });
}

function pool(op: string, x: Var, options: PoolOptions): Var {
  const axes = spatial(x);
  const kernel = spread("kernel", options.kernel, axes, 1);
  return x.tape.op(op, [x], {
    kernel_shape: kernel,
    strides: spread("stride", options.stride ?? kernel, axes, 1),
    pads: padsOf(options.padding ?? 0, kernel, kernel),
  });
}

/** The largest element of each window. */
export function maxPool(x: Var, options: PoolOptions): Var {
  return pool("MaxPool", x, options);
}

/** The mean of each window; padding counts, as in PyTorch. */
export function averagePool(x: Var, options: PoolOptions): Var {
  const padded = options.padding !== undefined && options.padding !== 0;
  const axes = spatial(x);
  const kernel = spread("kernel", options.kernel, axes, 1);
  return x.tape.op("AveragePool", [x], {
    kernel_shape: kernel,
    strides: spread("stride", options.stride ?? kernel, axes, 1),
    pads: padsOf(options.padding ?? 0, kernel, kernel),
    count_include_pad: padded ? 1 : 0,
  });
}

/** The mean over all spatial axes: [N, C, ...] → [N, C]. */
export function globalAveragePool(x: Var): Var {
  const axes = Array.from({ length: spatial(x) }, (_, i) => i + 2);
  return x.tape.op("ReduceMean", [x, x.tape.ints(axes)], { keepdims: 0 });
}
