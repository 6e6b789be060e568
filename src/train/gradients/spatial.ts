/** Ops over space written out in others: norms of windows, grids, crops, and samples at places that are computed. */
import { tensorFromStorage } from "../../tensor/index.js";
import { type Lowering, Refusal, type Site } from "./site.js";
import { spatialAxes, windowOf } from "./window.js";

const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);

/** Numbers as a constant of the node's float dtype. */
function numbers(s: Site, values: readonly number[], shape: readonly number[]): string {
  const dtype = s.floatType;
  const plain = s.constant(
    tensorFromStorage("float32", [...shape], Float32Array.from(values)),
    `numbers ${shape} ${values}`,
  );
  return dtype === "float32" ? plain : s.cast(plain, dtype);
}

// ── norms ────────────────────────────────────────────────────────────────────────────────────────

const powered = (s: Site, x: string, p: number): string =>
  p === 2 ? s.square(x) : p === 1 ? s.op("Abs", [x]) : s.op("Pow", [s.op("Abs", [x]), s.k(p)]);

/** The p-th root of a sum as the node's output; where the sum is 0 no gradient flows. */
function root(s: Site, sum: string, p: number): void {
  if (p === 1) {
    s.as(0, "Identity", [sum]);
    return;
  }
  const isZero = s.op("Equal", [sum, s.k(0)]);
  const safe = s.where(isZero, s.k(1), sum);
  const value = p === 2 ? s.op("Sqrt", [safe]) : s.op("Pow", [safe, s.k(1 / p)]);
  s.as(0, "Where", [isZero, s.k(0), value]);
}

const lpPool: Lowering = (s) => {
  if (s.int("ceil_mode", 0) === 1) throw new Refusal("windows that reach over the padding have no rule");
  const p = s.int("p", 2);
  const kernel = s.ints("kernel_shape") ?? [];
  const attrs = Object.fromEntries(
    [...s.node.attrs].filter(([name]) => name !== "p" && name !== "ceil_mode"),
  );
  const mean = s.op("AveragePool", [powered(s, s.x(0), p)], { ...attrs, count_include_pad: 1 });
  root(s, s.scale(mean, product(kernel)), p);
};

const globalLpPool: Lowering = (s) => {
  const p = s.int("p", 2);
  root(s, s.sum(powered(s, s.x(0), p), spatialAxes(s.rank(s.x(0)) - 2)), p);
};

// ── grids and crops ──────────────────────────────────────────────────────────────────────────────

/** Places from −1 to 1 along an axis: centres of cells, or with aligned corners its ends among them. */
function steps(size: number, aligned: boolean): number[] {
  if (aligned && size === 1) throw new Refusal("an axis of size 1 between aligned corners has no rule");
  return Array.from({ length: size }, (_, i) => (aligned ? (2 * i) / (size - 1) : (2 * i + 1) / size) - 1);
}

const affineGrid: Lowering = (s) => {
  const size = s.numbers(1);
  if (size === undefined) throw new Refusal("its size is not known");
  const aligned = s.int("align_corners", 0) === 1;
  const [batch = 0, , ...space] = size;
  const along = space.map((each) => steps(each, aligned));
  const rows: number[] = [];
  for (let at = 0; at < product(space); at++) {
    const place: number[] = [];
    for (let axis = space.length - 1, rest = at; axis >= 0; axis--) {
      // The last axis is the first coordinate.
      place.push(along[axis]![rest % space[axis]!]!);
      rest = Math.floor(rest / space[axis]!);
    }
    rows.push(...place, 1);
  }
  const places = numbers(s, rows, [1, product(space), space.length + 1]);
  const grid = s.op("MatMul", [places, s.transpose(s.x(0), [0, 2, 1])]);
  s.as(0, "Reshape", [grid, s.vector([batch, ...space, space.length])]);
};

const centerCropPad: Lowering = (s) => {
  const x = s.x(0);
  const sizes = s.numbers(1);
  if (sizes === undefined) throw new Refusal("its shape is not known");
  const rank = s.rank(x);
  const axes = (s.ints("axes") ?? sizes.map((_, i) => i)).map((axis) => s.axisOf(axis, x));
  const pads = new Array<number>(2 * rank).fill(0);
  const starts: number[] = [];
  const ends: number[] = [];
  axes.forEach((axis, i) => {
    const [size, wanted] = [s.dim(x, axis), sizes[i]!];
    const missing = Math.max(0, wanted - size);
    pads[axis] = Math.floor(missing / 2);
    pads[rank + axis] = missing - pads[axis]!;
    const start = Math.floor(Math.max(0, size - wanted) / 2);
    starts.push(start);
    ends.push(start + Math.min(size, wanted));
  });
  s.as(0, "Pad", [s.slice(x, starts, ends, axes), s.vector(pads), s.k(0)]);
};

// ── samples ──────────────────────────────────────────────────────────────────────────────────────

/**
 * Regions of images, by two matrices for each region: what every row of the image counts for in a row of the output, and
 * the same for columns. A sample counts for its two neighbours, by 1 minus the distance.
 */
const roiAlign: Lowering = (s) => {
  const [x, rois] = [s.x(0), s.x(1)];
  if (s.text("mode", "avg") !== "avg") throw new Refusal("the largest of samples has no rule");
  const samples = s.int("sampling_ratio", 0);
  if (samples === 0)
    throw new Refusal("as many samples as a region is large have no rule: set sampling_ratio");
  const isHalf = s.text("coordinate_transformation_mode", "half_pixel") === "half_pixel";
  const [, , height, width] = s.dims(x) as [number, number, number, number];
  const regions = s.dim(rois, 0);
  const scaled = s.sub(s.scale(rois, s.float("spatial_scale", 1)), s.k(isHalf ? 0.5 : 0));
  const end = (at: number): string => s.slice(scaled, [at], [at + 1], [1]);
  const weights = (from: string, to: string, out: number, size: number): string => {
    const length = s.sub(to, from);
    const least = isHalf ? length : s.op("Max", [length, s.k(1)]);
    const parts = Array.from({ length: out * samples }, (_, i) => (i + 0.5) / (out * samples));
    const at = s.add(from, s.mul(least, numbers(s, parts, [1, parts.length])));
    const outside = s.op("Or", [s.op("Less", [at, s.k(-1)]), s.op("Greater", [at, s.k(size)])]);
    const place = s.unsqueeze(s.op("Clip", [at, s.k(0), s.k(size - 1)]), [2]);
    const cells = numbers(
      s,
      Array.from({ length: size }, (_, i) => i),
      [1, 1, size],
    );
    const near = s.op("Relu", [s.sub(s.k(1), s.op("Abs", [s.sub(place, cells)]))]);
    const kept = s.where(s.unsqueeze(outside, [2]), s.k(0), near);
    return s.mean(s.reshape(kept, [regions, out, samples, size]), [2], 0);
  };
  const rows = weights(end(1), end(3), s.int("output_height", 1), height);
  const columns = weights(end(0), end(2), s.int("output_width", 1), width);
  const images = s.op("Gather", [x, s.x(2)], { axis: 0 });
  const high = s.op("MatMul", [s.unsqueeze(rows, [1]), images]);
  s.as(0, "MatMul", [high, s.transpose(s.unsqueeze(columns, [1]), [0, 1, 3, 2])]);
};

/** Unfolded windows whose elements are sampled where the offsets say, against the kernel. */
const deformConv: Lowering = (s) => {
  const [x, w, offset] = [s.x(0), s.x(1), s.x(2)];
  if (s.rank(x) !== 4) throw new Refusal("only images of two axes have a rule");
  const group = s.int("group", 1);
  const parts = s.int("offset_group", 1);
  const [batch, channels, height, width] = s.dims(x) as [number, number, number, number];
  const filters = s.dim(w, 0);
  const kernel = s.dims(w).slice(2);
  const out = s.dims(offset).slice(2) as [number, number];
  const window = windowOf(s, x, s.y, kernel);
  const [places, length] = [product(kernel), product(out)];
  // [batch · parts, place, y and x, rows, columns]
  const offsets = s.reshape(offset, [batch * parts, places, 2, ...out]);
  const axes = [0, 1].map((axis) => {
    const regular: number[] = [];
    for (let place = 0; place < places; place++) {
      const inKernel = axis === 0 ? Math.floor(place / kernel[1]!) : place % kernel[1]!;
      for (let cell = 0; cell < length; cell++) {
        const inOutput = axis === 0 ? Math.floor(cell / out[1]) : cell % out[1];
        regular.push(
          inOutput * window.strides[axis]! - window.begin[axis]! + inKernel * window.dilations[axis]!,
        );
      }
    }
    const moved = s.slice(offsets, [axis], [axis + 1], [2]);
    const at = s.add(
      s.reshape(moved, [batch * parts, places, ...out]),
      numbers(s, regular, [1, places, ...out]),
    );
    // As GridSample counts, from −1 to 1.
    return s.sub(s.scale(s.add(s.scale(at, 2), s.k(1)), 1 / [height, width][axis]!), s.k(1));
  });
  const grid = s.reshape(
    s.op(
      "Concat",
      [...axes].reverse().map((each) => s.unsqueeze(each, [4])),
      { axis: 4 },
    ),
    [batch * parts, places * out[0], out[1], 2],
  );
  const images = s.reshape(x, [batch * parts, channels / parts, height, width]);
  let sampled = s.op("GridSample", [images, grid], {
    mode: "linear",
    padding_mode: "zeros",
    align_corners: 0,
  });
  sampled = s.reshape(sampled, [batch, parts, channels / parts, places, length]);
  if (s.has(4)) sampled = s.mul(sampled, s.reshape(s.x(4), [batch, parts, 1, places, length]));
  const columns = s.reshape(sampled, [batch, group, (channels / group) * places, length]);
  const rows = s.reshape(w, [1, group, filters / group, (channels / group) * places]);
  const result = s.reshape(s.op("MatMul", [rows, columns]), [batch, filters, ...out]);
  if (s.has(3)) s.as(0, "Add", [result, s.unsqueeze(s.x(3), [1, 2])]);
  else s.as(0, "Identity", [result]);
};

export const SPATIAL = {
  AffineGrid: affineGrid,
  CenterCropPad: centerCropPad,
  DeformConv: deformConv,
  GlobalLpPool: globalLpPool,
  LpPool: lpPool,
  RoiAlign: roiAlign,
} satisfies Record<string, Lowering>;
