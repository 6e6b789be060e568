/** Gradients of convolutions and of their transposes. */
import { Refusal, type Rule, type Site } from "./site.js";
import { spatialAxes, spreadTo, type Window, windowOf } from "./window.js";

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

/**
 * A convolution's gradient back to its input as a convolution: with steps of one, and where it has no fewer filters than
 * channels come in, since each unfolds what it reads or folds what it writes, and both are as large as their channels.
 */
function convolvedBack(s: Site, g: string, w: string, window: Window): string | undefined {
  const reach = window.kernel.map((kernel, i) => window.dilations[i]! * (kernel - 1));
  const begin = reach.map((each, i) => each - window.begin[i]!);
  const end = reach.map((each, i) => each - window.end[i]!);
  const [filters, channels] = [s.dim(w, 0), s.dim(w, 1)];
  if (channels < filters || window.strides.some((stride) => stride !== 1)) return undefined;
  if ([...begin, ...end].some((pad) => pad < 0)) return undefined;
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

export const CONVOLUTION = {
  Conv: conv,
  ConvTranspose: convTranspose,
} satisfies Record<string, Rule>;
