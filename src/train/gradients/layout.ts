/** Gradients of ops that move elements: shapes, slices, gathers and scatters. */
import { tensor, tensorFromStorage } from "../../tensor/index.js";
import { Refusal, type Rule, type Site, ZERO } from "./site.js";

const reshaped: Rule = (s) => [s.reshapeLike(s.g, s.x(0))];

const transposed: Rule = (s) => {
  const perm = s.ints("perm") ?? [...s.shape(s.x(0)).keys()].reverse();
  const inverse = perm.map((_, axis) => perm.indexOf(axis));
  return [s.transpose(s.g, inverse)];
};

const expanded: Rule = (s) => [s.unbroadcast(s.g, s.y, s.x(0)), undefined];

/** Sizes of values along an axis, as a vector. */
function sizesAlong(s: Site, names: readonly string[], axis: number): string {
  const dims = names.map((name) => s.shape(name)[axis]);
  if (dims.every((dim) => typeof dim === "number")) return s.vector(dims);
  const sizes = names.map((name) => s.op("Shape", [name], { start: axis, end: axis + 1 }));
  return s.op("Concat", sizes, { axis: 0 });
}

const concatenated: Rule = (s) => {
  const { inputs } = s.node;
  if (inputs.length === 1) return [s.g];
  const axis = s.axis("axis", 0, s.y);
  return s.ops("Split", [s.g, sizesAlong(s, inputs, axis)], { axis }, inputs.length);
};

const split: Rule = (s) => {
  const axis = s.axis("axis", 0, s.x(0));
  const parts = s.node.outputs.map((_, i) => s.gs[i] ?? s.zerosLike(s.output(i)));
  return [parts.length === 1 ? parts[0]! : s.op("Concat", parts, { axis }), undefined];
};

/**
 * The gradient of an op that only moves elements, at whatever positions: the op moves the positions the same way, and
 * the gradient is added there.
 */
function byPositions(s: Site, dtype: "int64" | "float64" = "int64"): string {
  const x = s.x(0);
  const count = s.op("Size", [x]);
  const range = s.op("Range", [s.k(0, "int64"), count, s.k(1, "int64")]);
  const positions = s.reshapeLike(dtype === "int64" ? range : s.cast(range, dtype), x);
  const found = s.op(s.node.op, [positions, ...s.node.inputs.slice(1)], Object.fromEntries(s.node.attrs));
  const moved = dtype === "int64" ? found : s.cast(found, "int64");
  const flat = s.vector([-1]);
  const zeros = s.op("Expand", [s.k(0), s.op("Reshape", [count, s.vector([1])])]);
  const added = s.op(
    "ScatterElements",
    [zeros, s.op("Reshape", [moved, flat]), s.op("Reshape", [s.g, flat])],
    { axis: 0, reduction: "add" },
  );
  return s.reshapeLike(added, x);
}

const moved: Rule = (s) => [byPositions(s)];

/** For ops that have no kernel for int64; float64 is exact up to 2^53. */
const movedAsFloats: Rule = (s) => [byPositions(s, "float64")];

const sliced: Rule = (s) => {
  const x = s.x(0);
  const [starts, ends] = [s.numbers(1), s.numbers(2)];
  const steps = s.has(4) ? s.numbers(4) : starts?.map(() => 1);
  const axes = s.has(3) ? s.numbers(3) : starts?.map((_, i) => i);
  const known =
    starts !== undefined && ends !== undefined && axes !== undefined && steps?.every((step) => step === 1);
  if (!known || !s.isFixed(x)) return [byPositions(s)];
  const rank = s.rank(x);
  const pads = new Array<number>(2 * rank).fill(0);
  axes.forEach((given, i) => {
    const axis = s.axisOf(given, x);
    const size = s.dim(x, axis);
    const clamp = (at: number): number => Math.min(size, Math.max(0, at < 0 ? at + size : at));
    const start = clamp(starts[i]!);
    pads[axis] = start;
    pads[rank + axis] = size - Math.max(start, clamp(ends[i]!));
  });
  // An empty slice has nothing to pad.
  if (s.dims(s.y).includes(0)) return [s.zerosLike(x)];
  return [s.op("Pad", [s.g, s.vector(pads), s.k(0)])];
};

const padded: Rule = (s) => {
  const mode = s.text("mode", "constant");
  if (mode !== "constant") {
    if (s.needs(2)) throw new Refusal("the padding's value has no gradient in this mode");
    return [byPositions(s)];
  }
  const back = ["Pad", [s.g, s.neg(s.x(1)), s.k(0), s.x(3)]] as const;
  const inner = s.op(back[0], s.has(3) ? back[1] : back[1].slice(0, 3));
  if (!s.needs(2)) return [inner];
  const all = (a: string): string => s.op("ReduceSum", [a], { keepdims: 0 });
  return [inner, undefined, s.reshapeLike(s.sub(all(s.g), all(inner)), s.x(2))];
};

/**
 * ScatterElements, never ScatterND: the latter adds to one element from several threads at once in ONNX Runtime, and
 * loses some.
 */
const gathered: Rule = (s) => {
  const [x, indices] = [s.x(0), s.x(1)];
  if (s.isFixed(x) && s.dims(x).includes(0)) return [s.zerosLike(x), undefined];
  const axis = s.axis("axis", 0, x);
  const rank = s.rank(x);
  const width = s.rank(indices);
  // Indices of all axes between x's own: [1…, indices, 1…], with one axis in place of the gathered one.
  const count = s.op("Size", [indices]);
  const flatIndices = s.op("Reshape", [indices, s.vector([-1])]);
  const others = Array.from({ length: rank }, (_, i) => i).filter((i) => i !== axis);
  const spread = s.unsqueeze(flatIndices, others);
  const sizes = others.length === 0 ? undefined : s.shapeOf(x);
  const lengths = Array.from({ length: rank }, (_, i) =>
    i === axis
      ? s.op("Reshape", [count, s.vector([1])])
      : s.op("Slice", [sizes!, s.vector([i]), s.vector([i + 1]), s.vector([0])]),
  );
  const fixed = s.isFixed(x) && s.isFixed(indices);
  const shape = fixed
    ? s.vector(s.dims(x).map((dim, i) => (i === axis ? s.dims(indices).reduce((a, b) => a * b, 1) : dim)))
    : s.op("Concat", lengths, { axis: 0 });
  const updates = width === 1 ? s.g : s.op("Reshape", [s.g, shape], { allowzero: 1 });
  const full = rank === 1 ? spread : s.op("Expand", [spread, shape]);
  return [s.op("ScatterElements", [s.zerosLike(x), full, updates], { axis, reduction: "add" }), undefined];
};

const gatheredElements: Rule = (s) => [
  s.op("ScatterElements", [s.zerosLike(s.x(0)), s.x(1), s.g], {
    axis: s.axis("axis", 0, s.x(0)),
    reduction: "add",
  }),
  undefined,
];

const scattered =
  (op: "ScatterElements" | "ScatterND", gather: "GatherElements" | "GatherND"): Rule =>
  (s) => {
    const attrs = op === "ScatterElements" ? { axis: s.int("axis", 0) } : {};
    const reduction = s.text("reduction", "none");
    if (reduction !== "none" && reduction !== "add")
      throw new Refusal(`its reduction "${reduction}" has no rule`);
    const updates = s.needs(2) ? s.op(gather, [s.g, s.x(1)], attrs) : undefined;
    if (!s.needs(0)) return [undefined, undefined, updates];
    const data = reduction === "add" ? s.g : s.op(op, [s.g, s.x(1), s.zerosLike(s.x(2))], attrs);
    return [data, undefined, updates];
  };

const tiled: Rule = (s) => {
  const x = s.x(0);
  const repeats = s.numbers(1);
  if (repeats === undefined || !s.isFixed(x)) return [byPositions(s)];
  const dims = s.dims(x);
  const wide = s.op("Reshape", [s.g, s.vector(dims.flatMap((dim, i) => [repeats[i]!, dim]))], {
    allowzero: 1,
  });
  return [
    s.sum(
      wide,
      dims.map((_, i) => 2 * i),
      0,
    ),
  ];
};

const topK: Rule = (s) => {
  const axis = s.int("axis", -1);
  return [s.op("ScatterElements", [s.zerosLike(s.x(0)), s.output(1), s.g], { axis })];
};

const cumulated: Rule = (s) => {
  const reverse = s.int("reverse", 0) === 0 ? 1 : 0;
  return [s.op("CumSum", [s.g, s.x(1)], { exclusive: s.int("exclusive", 0), reverse }), undefined];
};

const triangle: Rule = (s) => [s.op("Trilu", s.has(1) ? [s.g, s.x(1)] : [s.g], { upper: s.int("upper", 1) })];

/** Two values stand where the indices say and where they do not: each has the sum of the gradients there. */
const oneHot: Rule = (s) => {
  if (!s.needs(2)) return [ZERO, ZERO, undefined];
  const dtype = s.dtype(s.x(2));
  const marks = s.constant(tensor([0, 1], { dtype }), `marks ${dtype}`);
  const hot = s.op("OneHot", [s.x(0), s.x(1), marks], { axis: s.int("axis", -1) });
  const isHot = s.op("Equal", [hot, s.k(1)]);
  const total = (a: string): string => s.reshape(s.op("ReduceSum", [a], { keepdims: 0 }), [1]);
  const parts = [total(s.where(isHot, s.k(0), s.g)), total(s.where(isHot, s.g, s.k(0)))];
  return [ZERO, ZERO, s.op("Concat", parts, { axis: 0 })];
};

/** Blocks are added into an image: each element of a block has the gradient of its place, or 0 outside the image. */
const blocksAdded: Rule = (s) => {
  const [image, block] = [s.numbers(1), s.numbers(2)];
  if (image === undefined || block === undefined) throw new Refusal("its shapes must be constants");
  const strides = s.ints("strides") ?? block.map(() => 1);
  const dilations = s.ints("dilations") ?? block.map(() => 1);
  const pads = s.ints("pads") ?? [...block, ...block].map(() => 0);
  const product = (sizes: readonly number[]): number => sizes.reduce((all, size) => all * size, 1);
  const steps = image.map((size, i) => {
    const room = size + pads[i]! + pads[image.length + i]! - dilations[i]! * (block[i]! - 1) - 1;
    return Math.floor(room / strides[i]!) + 1;
  });
  const [inBlock, blocks, outside] = [product(block), product(steps), product(image)];
  const places = new BigInt64Array(inBlock * blocks);
  places.forEach((_, at) => {
    let [within, step, place, width, isInside] = [Math.floor(at / blocks), at % blocks, 0, 1, true];
    for (let i = image.length - 1; i >= 0; i--) {
      const here = (step % steps[i]!) * strides[i]! + (within % block[i]!) * dilations[i]! - pads[i]!;
      isInside &&= here >= 0 && here < image[i]!;
      place += here * width;
      width *= image[i]!;
      within = Math.floor(within / block[i]!);
      step = Math.floor(step / steps[i]!);
    }
    places[at] = BigInt(isInside ? place : outside);
  });
  const key = `places ${[image, block, strides, dilations, pads].join(" ")}`;
  const table = s.constant(tensorFromStorage("int64", [inBlock, blocks], places), key);
  const flat = s.op("Reshape", [s.g, s.vector([0, 0, outside])]);
  const padded = s.op("Pad", [flat, s.vector([0, 0, 0, 0, 0, 1]), s.k(0)]);
  return [s.reshapeLike(s.op("Gather", [padded, table], { axis: 2 }), s.x(0))];
};

export const LAYOUT = {
  Reshape: reshaped,
  Flatten: reshaped,
  Squeeze: reshaped,
  Unsqueeze: reshaped,
  Transpose: transposed,
  Expand: expanded,
  Concat: concatenated,
  Split: split,
  Slice: sliced,
  Pad: padded,
  Gather: gathered,
  GatherElements: gatheredElements,
  GatherND: moved,
  ScatterElements: scattered("ScatterElements", "GatherElements"),
  ScatterND: scattered("ScatterND", "GatherND"),
  Tile: tiled,
  TopK: topK,
  CumSum: cumulated,
  Trilu: triangle,
  Compress: moved,
  ReverseSequence: moved,
  DepthToSpace: movedAsFloats,
  SpaceToDepth: movedAsFloats,
  OneHot: oneHot,
  Col2Im: blocksAdded,
} satisfies Record<string, Rule>;
