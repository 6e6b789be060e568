/** Pools: largest and mean of windows, and of windows that divide an axis. */
import type { Arguments, TensorValue } from "./arguments.js";
import { allAxes, type Emitter, isFloat } from "./emitter.js";
import type { OpHandler, OpRows, OutputMeta } from "./handler.js";
import { batched, each } from "./spatial.js";
import { Unsupported } from "./unsupported.js";

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
    const pads = padsOf(window);
    // The runtime pads by less than the kernel only, which rows for ceil_mode can exceed.
    const beside = pads.some((pad, i) => pad >= window.kernel[i % spatial]!);
    if (beside && !isFloat(x.dtype)) throw new Unsupported(`padding of ${x.dtype} as wide as the kernel`);
    return batched(c, x, spatial + 2, (value) =>
      c.add("MaxPool", [beside ? padded(c, value, pads, x.dtype) : value], {
        kernel_shape: [...window.kernel],
        strides: [...window.stride],
        pads: beside ? pads.map(() => 0) : pads,
        dilations: [...window.dilation],
      }),
    );
  };

/** With −∞ around the last axes, which no window prefers. */
function padded(c: Emitter, value: string, pads: readonly number[], dtype: TensorValue["dtype"]): string {
  const [before, after] = [pads.slice(0, pads.length / 2), pads.slice(pads.length / 2)];
  const lowest = c.scalar(Number.NEGATIVE_INFINITY, dtype);
  return c.add("Pad", [value, c.ints([0, 0, ...before, 0, 0, ...after]), lowest]);
}

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

// biome-ignore format: a table is read by columns
export const POOLING: OpRows = {
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
};
