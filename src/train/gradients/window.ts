/** Gradients of ops that slide a window over space: convolutions, pooling, resizing. */
import { tensor } from "../../tensor/index.js";
import { Refusal, type Rule, type Site } from "./site.js";

/** Strides, dilations and pads along each axis of space. */
export interface Window {
  readonly kernel: readonly number[];
  readonly strides: readonly number[];
  readonly dilations: readonly number[];
  readonly begin: readonly number[];
  readonly end: readonly number[];
}

const spatialAxes = (rank: number): number[] => Array.from({ length: rank }, (_, i) => i + 2);

/** The window of a node that goes from `input` to `output` (names of values); ends follow from the output's size. */
function windowOf(s: Site, input: string, output: string, kernel: readonly number[]): Window {
  const n = kernel.length;
  const ones = new Array<number>(n).fill(1);
  const strides = s.ints("strides") ?? ones;
  const dilations = s.ints("dilations") ?? ones;
  const auto = s.text("auto_pad", "NOTSET");
  const pads = s.ints("pads") ?? new Array<number>(2 * n).fill(0);
  const begin: number[] = [];
  const end: number[] = [];
  for (let i = 0; i < n; i++) {
    const [size, out] = [s.dim(input, i + 2), s.dim(output, i + 2)];
    const reach = (out - 1) * strides[i]! + dilations[i]! * (kernel[i]! - 1) + 1;
    const total = Math.max(0, reach - size);
    const first =
      auto === "SAME_UPPER"
        ? Math.floor(total / 2)
        : auto === "SAME_LOWER"
          ? Math.ceil(total / 2)
          : auto === "VALID"
            ? 0
            : pads[i]!;
    begin.push(first);
    // What the last window reaches beyond the input: less than the declared pad where windows stop before it.
    end.push(reach - size - first);
  }
  return { kernel, strides, dilations, begin, end };
}

/** Windows back to what they came from: ConvTranspose that gives `size` along each axis. */
function spreadBack(s: Site, g: string, weight: string, window: Window, group: number): string {
  return s.op("ConvTranspose", [g, weight], {
    strides: window.strides,
    dilations: window.dilations,
    group,
    pads: [...window.begin, ...window.end.map((end) => Math.max(0, end))],
    output_padding: window.end.map((end) => Math.max(0, -end)),
    kernel_shape: window.kernel,
  });
}

/** Input that no window reaches can be wider than a stride, which output_padding does not allow. */
function spreadTo(s: Site, g: string, weight: string, window: Window, group: number, like: string): string {
  const allowed = window.end.map((end, i) => {
    const most = Math.max(window.strides[i]!, window.dilations[i]!) - 1;
    return end < -most ? 0 : end;
  });
  const spread = spreadBack(s, g, weight, { ...window, end: allowed }, group);
  const missing = window.end.map((end, i) => (allowed[i] === end ? 0 : -end));
  if (missing.every((count) => count === 0)) return spread;
  const rank = s.rank(like);
  return s.op("Pad", [spread, s.vector([...new Array<number>(rank + 2).fill(0), ...missing]), s.k(0)]);
}

/** Sum over positions of input × gradient: the gradient of a convolution's weight [M, C/group, …kernel]. */
function weightGradient(
  s: Site,
  x: string,
  xDims: { channels: number; batch: () => number; space: readonly number[] },
  g: string,
  window: Window,
  group: number,
): string {
  const n = window.kernel.length;
  const space = spatialAxes(n);
  const perGroup = xDims.channels / group;
  let swapped: string;
  if (group === 1) swapped = s.transpose(x, [1, 0, ...space]);
  else {
    const batch = xDims.batch();
    const split = s.reshape(x, [batch, group, perGroup, ...xDims.space]);
    const front = s.transpose(split, [2, 1, 0, ...space.map((axis) => axis + 1)]);
    swapped = s.reshape(front, [perGroup, group * batch, ...xDims.space]);
  }
  const kernel = s.op("Conv", [swapped, s.transpose(g, [1, 0, ...space])], {
    group,
    strides: window.dilations,
    dilations: window.strides,
    // A negative end is input that no window reaches: the slice below leaves out what comes of it.
    pads: [...window.begin, ...window.end.map((end) => Math.max(0, end))],
  });
  const cut = window.kernel.map((_, i) => i).filter((i) => window.end[i]! < 0);
  const sliced =
    cut.length === 0
      ? kernel
      : s.slice(
          kernel,
          cut.map(() => 0),
          cut.map((i) => window.kernel[i]!),
          cut.map((i) => i + 2),
        );
  return s.transpose(sliced, [1, 0, ...space]);
}

/** Elements of unfolded windows beyond which they would take too much memory. */
const MOST_UNFOLDED = 2 ** 26;

/**
 * The same as a product of matrices: the input under each element of the kernel, side by side, against the gradient.
 * Undefined where that would be large.
 */
function unfoldedWeightGradient(s: Site, x: string, g: string, window: Window): string | undefined {
  if (!s.isFixed(x)) return undefined;
  const [batch, channels, ...space] = s.dims(x) as [number, number, ...number[]];
  const size = s.dims(s.y) as [number, number, ...number[]];
  const [filters, out] = [size[1], size.slice(2)];
  const places = window.kernel.reduce((a, b) => a * b, 1);
  const length = out.reduce((a, b) => a * b, 1);
  const unfolded = batch * channels * places * length;
  if (unfolded === 0 || unfolded > MOST_UNFOLDED || places > 49) return undefined;
  const axes = spatialAxes(space.length);
  const end = window.end.map((each) => Math.max(0, each));
  const pads = [0, 0, ...window.begin, 0, 0, ...end];
  const padded = pads.some((pad) => pad > 0) ? s.op("Pad", [x, s.vector(pads), s.k(0)]) : x;
  const parts = Array.from({ length: places }, (_, place) => {
    const starts: number[] = [];
    for (let i = space.length - 1, rest = place; i >= 0; i--) {
      starts[i] = (rest % window.kernel[i]!) * window.dilations[i]!;
      rest = Math.floor(rest / window.kernel[i]!);
    }
    const ends = starts.map((start, i) => start + (out[i]! - 1) * window.strides[i]! + 1);
    const whole = padded === x && starts.every((start, i) => start === 0 && out[i] === space[i]);
    return whole ? x : s.slice(padded, starts, ends, axes, window.strides);
  });
  const joined = parts.length === 1 ? parts[0]! : s.op("Concat", parts, { axis: 1 });
  const columns = s.reshape(joined, [batch, places * channels, length]);
  const rows = s.reshape(g, [batch, filters, length]);
  const each = s.op("MatMul", [rows, s.transpose(columns, [0, 2, 1])]);
  const split = s.reshape(s.sum(each, [0], 0), [filters, places, channels]);
  return s.reshape(s.transpose(split, [0, 2, 1]), [filters, channels, ...window.kernel]);
}

/** A convolution's gradient back to its input, where it is a convolution itself: with steps of one. */
function convolvedBack(s: Site, g: string, w: string, window: Window): string | undefined {
  const reach = window.kernel.map((kernel, i) => window.dilations[i]! * (kernel - 1));
  const begin = reach.map((each, i) => each - window.begin[i]!);
  const end = reach.map((each, i) => each - window.end[i]!);
  const plain = window.strides.every((stride) => stride === 1) && window.end.every((each) => each >= 0);
  if (!plain || [...begin, ...end].some((pad) => pad < 0)) return undefined;
  const axes = spatialAxes(window.kernel.length);
  const swapped = s.transpose(w, [1, 0, ...axes]);
  const turned = axes.filter((_, i) => window.kernel[i] !== 1);
  const flipped =
    turned.length === 0
      ? swapped
      : s.slice(
          swapped,
          turned.map(() => -1),
          turned.map((axis) => -1 - window.kernel[axis - 2]!),
          turned,
          turned.map(() => -1),
        );
  return s.op("Conv", [g, flipped], {
    dilations: window.dilations,
    pads: [...begin, ...end],
    kernel_shape: window.kernel,
  });
}

/** Where there are no outputs all gradients are 0: ONNX Runtime leaves a kernel's gradient over an empty batch unwritten. */
function ofNothing(s: Site): string[] | undefined {
  if (!s.isFixed(s.y) || !s.dims(s.y).includes(0)) return undefined;
  return s.node.inputs.map((name) => (name === "" ? "" : s.zerosLike(name)));
}

const conv: Rule = (s) => {
  const nothing = ofNothing(s);
  if (nothing !== undefined) return nothing;
  const [x, w] = [s.x(0), s.x(1)];
  const rank = s.rank(x);
  if (rank < 3 || rank > 5) throw new Refusal(`${rank - 2} axes of space have no rule`);
  const group = s.int("group", 1);
  const window = windowOf(s, x, s.y, s.dims(w).slice(2));
  const sizes = spatialAxes(rank - 2).map((axis) => s.dim(x, axis));
  const back = s.needs(0) && group === 1 ? convolvedBack(s, s.g, w, window) : undefined;
  const unfolded = s.needs(1) && group === 1 ? unfoldedWeightGradient(s, x, s.g, window) : undefined;
  return [
    s.needs(0) ? (back ?? spreadTo(s, s.g, w, window, group, x)) : undefined,
    s.needs(1)
      ? (unfolded ??
        weightGradient(
          s,
          x,
          { channels: s.dim(x, 1), batch: () => s.dim(x, 0), space: sizes },
          s.g,
          window,
          group,
        ))
      : undefined,
    s.needs(2) ? s.sum(s.g, [0, ...spatialAxes(rank - 2)], 0) : undefined,
  ];
};

const convTranspose: Rule = (s) => {
  const nothing = ofNothing(s);
  if (nothing !== undefined) return nothing;
  const [x, w] = [s.x(0), s.x(1)];
  const rank = s.rank(x);
  const n = rank - 2;
  if (rank < 3 || rank > 5) throw new Refusal(`${n} axes of space have no rule`);
  const group = s.int("group", 1);
  const kernel = s.dims(w).slice(2);
  // Seen from the output, this is a convolution back to the input.
  const asConv = windowOf(s, s.y, x, kernel);
  const window = { ...asConv, ...padsOfTranspose(s, asConv) };
  const sizes = spatialAxes(n).map((axis) => s.dim(s.y, axis));
  const axes = spatialAxes(n);
  let dx: string | undefined;
  if (s.needs(0)) {
    const pads = [...window.begin, ...window.end.map((end) => Math.max(0, end))];
    const wide = s.op("Conv", [s.g, w], {
      strides: window.strides,
      dilations: window.dilations,
      group,
      pads,
    });
    dx = s.slice(
      wide,
      axes.map(() => 0),
      axes.map((axis) => s.dim(x, axis)),
      axes,
    );
  }
  return [
    dx,
    s.needs(1)
      ? weightGradient(
          s,
          s.g,
          { channels: s.dim(s.y, 1), batch: () => s.dim(s.y, 0), space: sizes },
          x,
          window,
          group,
        )
      : undefined,
    s.needs(2) ? s.sum(s.g, [0, ...axes], 0) : undefined,
  ];
};

/** Where the output of a ConvTranspose begins: given, or the half of what its declared shape leaves out. */
function padsOfTranspose(s: Site, window: Window): Pick<Window, "begin" | "end"> {
  const auto = s.text("auto_pad", "NOTSET");
  const given = s.ints("output_shape");
  if (given === undefined && (auto === "NOTSET" || auto === "VALID")) return window;
  const extra = s.ints("output_padding") ?? window.kernel.map(() => 0);
  const begin: number[] = [];
  const end: number[] = [];
  window.kernel.forEach((kernel, i) => {
    const [size, out] = [s.dim(s.x(0), i + 2), s.dim(s.y, i + 2)];
    const reach = (size - 1) * window.strides[i]! + window.dilations[i]! * (kernel - 1) + 1;
    const total = Math.max(0, reach + extra[i]! - out);
    const first = auto === "SAME_UPPER" ? Math.floor(total / 2) : total - Math.floor(total / 2);
    begin.push(first);
    end.push(reach - out - first);
  });
  return { begin, end };
}

/** How many elements of the input each window covers, along one axis. */
function covered(s: Site, window: Window, i: number, countPad: boolean): number[] {
  const [size, out] = [s.dim(s.x(0), i + 2), s.dim(s.y, i + 2)];
  const [stride, dilation] = [window.strides[i]!, window.dilations[i]!];
  const declared = s.text("auto_pad", "NOTSET") === "NOTSET" ? (s.ints("pads") ?? []) : undefined;
  const padEnd =
    declared === undefined ? Math.max(0, window.end[i]!) : (declared[window.kernel.length + i] ?? 0);
  const limit = countPad ? size + padEnd : size;
  const least = countPad ? -window.begin[i]! : 0;
  return Array.from({ length: out }, (_, o) => {
    let count = 0;
    for (let k = 0; k < window.kernel[i]!; k++) {
      const at = o * stride - window.begin[i]! + k * dilation;
      if (at >= least && at < limit) count++;
    }
    return count;
  });
}

const averagePool: Rule = (s) => {
  const x = s.x(0);
  const rank = s.rank(x);
  const kernel = s.ints("kernel_shape") ?? [];
  const window = windowOf(s, x, s.y, kernel);
  const dtype = s.floatType;
  let g = s.g;
  const countPad = s.int("count_include_pad", 0) === 1;
  const counts = kernel.map((_, i) => covered(s, window, i, countPad));
  if (counts.every((axis) => axis.every((count) => count === axis[0]))) {
    g = s.scale(g, 1 / counts.reduce((product, axis) => product * (axis[0] ?? 1), 1));
  } else {
    counts.forEach((axis, i) => {
      const shape = new Array<number>(rank).fill(1);
      shape[i + 2] = axis.length;
      const inverse = axis.map((count) => 1 / count);
      g = s.mul(g, s.constant(tensor(inverse, { dtype }).reshape(shape), `pool ${dtype} ${shape} ${axis}`));
    });
  }
  const channels = s.dim(x, 1);
  const ones = s.op("Expand", [s.k(1), s.vector([channels, 1, ...kernel])]);
  return [spreadTo(s, g, ones, window, channels, x)];
};

/** Everything goes to the element that was chosen: the first maximum of a window in row-major order. */
const maxPool: Rule = (s) => {
  if (s.int("storage_order", 0) !== 0) throw new Refusal("column-major indices have no rule");
  const x = s.x(0);
  const kernel = s.ints("kernel_shape") ?? [];
  const strides = s.ints("strides") ?? kernel.map(() => 1);
  const dilations = s.ints("dilations") ?? kernel.map(() => 1);
  // Where windows share nothing, each element is chosen once at most. MaxUnpool has kernels for float32 only, and takes
  // indices to be those of an input that the windows fill.
  const fills = (size: number, i: number): boolean =>
    s.dim(x, i + 2) === (s.dim(s.y, i + 2) - 1) * strides[i]! + size && strides[i]! >= size;
  const bare = dilations.every((each) => each === 1) && (s.ints("pads") ?? []).every((pad) => pad === 0);
  if (bare && s.floatType === "float32" && s.isFixed(x) && !s.dims(x).includes(0) && kernel.every(fills)) {
    const inputs = [s.g, s.output(1), s.vector(s.dims(x))];
    return [s.op("MaxUnpool", inputs, { kernel_shape: kernel, strides })];
  }
  const flat = s.vector([-1]);
  const count = s.op("Reshape", [s.op("Size", [x]), s.vector([1])]);
  const zeros = s.isFixed(x)
    ? s.op("ConstantOfShape", [s.vector([s.dims(x).reduce((a, b) => a * b, 1)])], {
        value: tensor([0], { dtype: s.floatType }),
      })
    : s.op("Expand", [s.k(0), count]);
  const indices = s.op("Reshape", [s.output(1), flat]);
  const added = s.op("ScatterElements", [zeros, indices, s.op("Reshape", [s.g, flat])], {
    axis: 0,
    reduction: "add",
  });
  return [s.reshapeLike(added, x)];
};

const maxUnpool: Rule = (s) => {
  const flat = s.vector([-1]);
  const picked = s.op("Gather", [s.op("Reshape", [s.g, flat]), s.op("Reshape", [s.x(1), flat])]);
  return [s.reshapeLike(picked, s.x(0)), undefined, undefined];
};

const globalAverage: Rule = (s) => {
  const x = s.x(0);
  const count = spatialAxes(s.rank(x) - 2).reduce((product, axis) => product * s.dim(x, axis), 1);
  return [s.expandLike(s.scale(s.g, 1 / count), x)];
};

const globalMax: Rule = (s) => {
  const x = s.x(0);
  const rows = s.op("Reshape", [x, s.vector([0, 0, -1])]);
  const best = s.op("ArgMax", [rows], { axis: 2, keepdims: 1 });
  const zeros = s.op("ConstantOfShape", [s.op("Shape", [rows])], {
    value: tensor([0], { dtype: s.floatType }),
  });
  const g = s.op("Reshape", [s.g, s.vector([0, 0, 1])]);
  return [s.reshapeLike(s.op("ScatterElements", [zeros, best, g], { axis: 2 }), x)];
};

/**
 * Resizing is linear in its input and goes axis by axis. What it does along an axis is asked of the op itself: the
 * identity matrix, resized, is its matrix, whatever the mode.
 */
const resize: Rule = (s) => {
  const x = s.x(0);
  const mode = s.text("coordinate_transformation_mode", "half_pixel");
  if (mode === "tf_crop_and_resize") throw new Refusal("its region of interest has no rule");
  if (s.text("keep_aspect_ratio_policy", "stretch") !== "stretch")
    throw new Refusal("kept aspect ratios have no rule");
  const rank = s.rank(x);
  const axes = (s.ints("axes") ?? Array.from({ length: rank }, (_, i) => i)).map((axis) => s.axisOf(axis, x));
  const scales = s.has(2) ? s.numbers(2) : undefined;
  if (s.has(2) && scales === undefined) throw new Refusal("its scales are not known");
  const [inDims, outDims] = [s.dims(x), s.dims(s.y)];
  const attrs = Object.fromEntries([...s.node.attrs].filter(([name]) => name !== "axes"));
  let g = s.g;
  axes.forEach((axis, i) => {
    const [size, out] = [inDims[axis]!, outDims[axis]!];
    if (size === out && (scales === undefined || scales[i] === 1)) return;
    const eye = s.op("EyeLike", [s.op("Expand", [s.k(0), s.vector([size, size])])]);
    const inputs =
      scales === undefined
        ? [eye, "", "", s.vector([size, out])]
        : [eye, "", s.constant(tensor([1, scales[i]!], { dtype: "float32" }), `scales ${scales[i]}`)];
    const matrix = s.op("Resize", inputs, attrs);
    const last = rank - 1;
    const perm = Array.from({ length: rank }, (_, k) => k);
    [perm[axis], perm[last]] = [last, axis];
    g = s.transpose(s.op("MatMul", [s.transpose(g, perm), s.transpose(matrix, [1, 0])]), perm);
  });
  return [g];
};

export const WINDOW = {
  Conv: conv,
  ConvTranspose: convTranspose,
  AveragePool: averagePool,
  MaxPool: maxPool,
  MaxUnpool: maxUnpool,
  GlobalAveragePool: globalAverage,
  GlobalMaxPool: globalMax,
  Resize: resize,
} satisfies Record<string, Rule>;
