/** Inference rules of ops that move a window: convolutions, pools, and their kin. */
import type { Dim } from "../graph.js";
import { type Call, type Rule, shaped, unknownDims } from "./call.js";
import { addDims, divideDown, divideUp, multiplyDims, subtractDims } from "./dim.js";

interface Windows {
  readonly kernel: readonly Dim[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly pads: readonly number[];
  readonly autoPad: string;
  readonly ceil: boolean;
}

function windowsOf(call: Call, kernel: readonly Dim[]): Windows {
  const axes = kernel.length;
  return {
    kernel,
    strides: call.ints("strides") ?? new Array<number>(axes).fill(1),
    dilations: call.ints("dilations") ?? new Array<number>(axes).fill(1),
    pads: call.ints("pads") ?? new Array<number>(2 * axes).fill(0),
    autoPad: call.text("auto_pad", "NOTSET"),
    ceil: call.int("ceil_mode", 0) !== 0,
  };
}

/** Positions of the windows along axis `i` of an input of size `dim`. */
function positions(dim: Dim, i: number, { kernel, strides, dilations, pads, autoPad, ceil }: Windows): Dim {
  const stride = strides[i] ?? 1;
  if (autoPad.startsWith("SAME")) return divideUp(dim, stride);
  const extent = addDims(multiplyDims(subtractDims(kernel[i]!, 1), dilations[i] ?? 1), 1);
  const [before, after] = autoPad === "VALID" ? [0, 0] : [pads[i] ?? 0, pads[kernel.length + i] ?? 0];
  const free = subtractDims(addDims(dim, before + after), extent);
  if (!ceil) return addDims(divideDown(free, stride), 1);
  const count = addDims(divideUp(free, stride), 1);
  if (typeof count !== "number" || typeof dim !== "number") return stride === 1 ? count : null;
  // A window may not start in the padding behind the input.
  return (count - 1) * stride >= dim + before ? count - 1 : count;
}

function windowed(call: Call, channels: Dim, kernel: readonly Dim[]): Dim[] {
  const x = call.shape(0)!;
  const windows = windowsOf(call, kernel);
  const dims = x.slice(2).map((dim, i) => positions(dim, i, windows));
  const small = dims.findIndex((dim) => typeof dim === "number" && dim < 0);
  if (small >= 0) throw call.fail("has a window that is larger than its input", `axis ${small + 2}`);
  return [x[0]!, channels, ...dims];
}

/** Conv and its kin; the weight is input `weight`. */
function convolution(weight: number): Rule {
  return (call) => {
    const x = call.shape(0);
    const w = call.shape(weight);
    if (x === undefined) return [];
    const kernel = call.ints("kernel_shape") ?? w?.slice(2) ?? unknownDims(x.length - 2);
    return shaped(windowed(call, w?.[0] ?? null, kernel));
  };
}

export const conv = convolution(1);
/** QLinearConv: the weight is the fourth input. */
export const quantizedConv = convolution(3);

export const pool: Rule = (call) => {
  const kernel = call.ints("kernel_shape");
  const x = call.shape(0);
  if (x === undefined || kernel === undefined) return [];
  const shape = windowed(call, x[1]!, kernel);
  return call.node.outputs.map(() => ({ shape }));
};

export const globalPool: Rule = (call) => shaped(call.shape(0)?.map((dim, i) => (i < 2 ? dim : 1)));

export const convTranspose: Rule = (call) => {
  const [x, w] = [call.shape(0), call.shape(1)];
  if (x === undefined || w === undefined) return [];
  const windows = windowsOf(call, call.ints("kernel_shape") ?? w.slice(2));
  const channels = multiplyDims(w[1]!, call.int("group", 1));
  return shaped([x[0]!, channels, ...grown(call, windows)]);
};

/** Sizes of what windows over it would give the input: the inverse of `positions`. */
function grown(call: Call, windows: Windows): Dim[] {
  const { kernel, strides, dilations, pads, autoPad } = windows;
  const given = call.ints("output_shape");
  const extra = call.ints("output_padding") ?? [];
  const axes = call.shape(0)!.slice(2);
  if (given !== undefined) return given.slice(-axes.length);
  return axes.map((dim, i) => {
    const stride = strides[i] ?? 1;
    if (autoPad.startsWith("SAME")) return multiplyDims(dim, stride);
    const extent = addDims(multiplyDims(subtractDims(kernel[i]!, 1), dilations[i] ?? 1), 1);
    const padding = autoPad === "VALID" ? 0 : (pads[i] ?? 0) + (pads[kernel.length + i] ?? 0);
    return addDims(addDims(multiplyDims(subtractDims(dim, 1), stride), extent), (extra[i] ?? 0) - padding);
  });
}

/** MaxUnpool: the shape that its third input says, or what the windows give. */
export const unpool: Rule = (call) => {
  const x = call.shape(0);
  if (x === undefined) return [];
  if (call.has(2)) return shaped(call.items(2) ?? unknownDims(x.length));
  const windows = windowsOf(call, call.ints("kernel_shape") ?? unknownDims(x.length - 2));
  return shaped([x[0]!, x[1]!, ...grown(call, windows)]);
};

/** MaxRoiPool: `[rois, channels, …pooled_shape]`. */
export const roiPool: Rule = (call) =>
  shaped([
    call.shape(1)?.[0] ?? null,
    call.shape(0)?.[1] ?? null,
    ...(call.ints("pooled_shape") ?? [null, null]),
  ]);

/** RoiAlign: `[rois, channels, output_height, output_width]`. */
export const roiAlign: Rule = (call) =>
  shaped([
    call.shape(1)?.[0] ?? null,
    call.shape(0)?.[1] ?? null,
    call.int("output_height", 1),
    call.int("output_width", 1),
  ]);

/** Col2Im: `[batch, channels / block size, …image_shape]`. */
export const columnsToImage: Rule = (call) => {
  const x = call.shape(0);
  const image = call.items(1);
  const block = call.numbers(2);
  if (image === undefined) return [];
  const size = block?.reduce((product, dim) => product * dim, 1);
  return shaped([x?.[0] ?? null, size === undefined ? null : divideDown(x?.[1] ?? null, size), ...image]);
};

/** AffineGrid: `[batch, …sizes, 2 or 3]` from the target size `[batch, channels, …sizes]`. */
export const affineGrid: Rule = (call) => {
  const size = call.items(1);
  if (size === undefined) return [];
  return shaped([size[0] ?? null, ...size.slice(2), size.length - 2]);
};

/** GridSample: `[batch, channels, …]` with the grid's positions. */
export const gridSample: Rule = (call) => {
  const [x, grid] = [call.shape(0), call.shape(1)];
  if (grid === undefined) return [];
  return shaped([x?.[0] ?? grid[0]!, x?.[1] ?? null, ...grid.slice(1, -1)]);
};

/** DepthToSpace: blocks of channels become blocks of pixels; SpaceToDepth is its inverse. */
export const depthToSpace: Rule = (call) => {
  const x = call.shape(0);
  const size = call.int("blocksize", 1);
  if (x?.length !== 4) return [];
  return shaped([
    x[0]!,
    divideDown(x[1]!, size * size),
    multiplyDims(x[2]!, size),
    multiplyDims(x[3]!, size),
  ]);
};

export const spaceToDepth: Rule = (call) => {
  const x = call.shape(0);
  const size = call.int("blocksize", 1);
  if (x?.length !== 4) return [];
  return shaped([x[0]!, multiplyDims(x[1]!, size * size), divideDown(x[2]!, size), divideDown(x[3]!, size)]);
};

/** Upsample and Resize: sizes as they are given, or scaled and rounded down. */
export const resize: Rule = (call) => {
  const x = call.shape(0);
  if (x === undefined) return [];
  const [scalesAt, sizesAt] = call.node.op === "Resize" && call.since >= 11 ? [2, 3] : [1, -1];
  const axes = call.ints("axes")?.map((axis) => call.axis(axis, x.length)) ?? [...x.keys()];
  const dims = [...x];
  if (sizesAt >= 0 && call.has(sizesAt)) {
    const sizes = call.items(sizesAt);
    const kept = call.text("keep_aspect_ratio_policy", "stretch") === "stretch";
    axes.forEach((axis, i) => void (dims[axis] = kept ? (sizes?.[i] ?? null) : null));
    return shaped(kept ? dims : keptAspect(call, axes, call.numbers(sizesAt)));
  }
  const scales = call.attr("scales", "floats") ?? call.numbers(scalesAt);
  axes.forEach((axis, i) => void (dims[axis] = scaled(x[axis]!, scales?.[i])));
  return shaped(dims);
};

function scaled(dim: Dim, scale: number | undefined): Dim {
  if (scale === undefined) return null;
  if (scale === 1) return dim;
  if (typeof dim === "number") return Math.floor(Math.fround(dim * Math.fround(scale)));
  return Number.isInteger(scale) ? multiplyDims(dim, scale) : null;
}

/** One scale for all axes, so that the result is not larger (or not smaller) than the sizes asked for. */
function keptAspect(call: Call, axes: readonly number[], sizes: readonly number[] | undefined): Dim[] {
  const x = call.shape(0)!;
  const larger = call.text("keep_aspect_ratio_policy", "stretch") === "not_smaller";
  const ratios = axes.map(
    (axis, i) => Number(sizes?.[i]) / (typeof x[axis] === "number" ? x[axis] : Number.NaN),
  );
  const scale = larger ? Math.max(...ratios) : Math.min(...ratios);
  const isKnown = ratios.every(Number.isFinite);
  return x.map((dim, i) => {
    if (!axes.includes(i)) return dim;
    return isKnown && typeof dim === "number" ? Math.round(scale * dim) : null;
  });
}
