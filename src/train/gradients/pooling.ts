/** Gradients of pooling and resizing. */
import { tensor } from "../../tensor/index.js";
import { Refusal, type Rule, type Site } from "./site.js";
import { spatialAxes, spreadTo, type Window, windowOf } from "./window.js";

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

/**
 * Flat indices of the maxima of windows of 2 × 2 that fill the input, the first of equals in row-major order. ONNX
 * Runtime finds indices element by element, but maxima alone of many at once: those of the upper rows, of the left columns
 * and of the upper left corners tell which element of its window a maximum is.
 */
function placesOfFour(s: Site): string {
  const [x, y] = [s.x(0), s.y];
  const [batch, channels, height, width] = s.dims(x) as [number, number, number, number];
  const best = (kernel: readonly number[]): string =>
    s.op("Equal", [s.op("MaxPool", [x], { kernel_shape: kernel, strides: [2, 2] }), y]);
  const upper = best([1, 2]);
  const lower = s.op("Not", [upper]);
  const isLeft = s.op("Or", [best([1, 1]), s.op("And", [best([2, 1]), lower])]);
  const place = (values: readonly number[], shape: readonly number[]): string =>
    s.constant(
      tensor(values.map(BigInt), { dtype: "int64" }).reshape([...shape]),
      `places ${shape} ${s.dims(x)}`,
    );
  const count = (condition: string, each: number): string =>
    s.mul(s.cast(condition, "int64"), s.k(each, "int64"));
  const [rows, columns] = [height / 2, width / 2];
  const cells = Array.from(
    { length: rows * columns },
    (_, i) => 2 * (Math.floor(i / columns) * width + (i % columns)),
  );
  const planes = Array.from({ length: batch * channels }, (_, i) => i * height * width);
  const inCell = s.add(count(lower, width), s.cast(s.op("Not", [isLeft]), "int64"));
  const inPlane = s.add(inCell, place(cells, [rows, columns]));
  const indices = s.add(inPlane, place(planes, [batch, channels, 1, 1]));
  s.notePlaces(indices);
  return indices;
}

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
    const four = s.finite && kernel.length === 2 && [...kernel, ...strides].every((each) => each === 2);
    const inputs = [s.g, four ? placesOfFour(s) : s.output(1), s.vector(s.dims(x))];
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

export const POOLING = {
  AveragePool: averagePool,
  MaxPool: maxPool,
  MaxUnpool: maxUnpool,
  GlobalAveragePool: globalAverage,
  GlobalMaxPool: globalMax,
  Resize: resize,
} satisfies Record<string, Rule>;
