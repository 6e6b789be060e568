/** Gradients of reductions and of what normalises along an axis by sums: softmax and its logarithm. */
import { Refusal, type Rule, type Site, ZERO } from "./site.js";

/** Axes of a reduction; undefined when they are not known before a run, "none" when nothing is reduced. */
function axesOf(s: Site): number[] | "none" | undefined {
  const rank = s.rank(s.x(0));
  const given = s.has(1) ? s.numbers(1) : [];
  if (given === undefined) return undefined;
  if (given.length > 0) return given.map((axis) => (axis < 0 ? axis + rank : axis));
  if (s.int("noop_with_empty_axes", 0) === 1) return "none";
  return Array.from({ length: rank }, (_, i) => i);
}

interface Reduced {
  /** A value of the output's shape with the reduced axes as 1. */
  readonly keep: (value: string) => string;
  readonly axes: readonly number[] | undefined;
}

function reduction(rule: (s: Site, reduced: Reduced) => string, ofOne: (s: Site) => string): Rule {
  return (s) => {
    const axes = axesOf(s);
    if (axes === "none") return [ofOne(s)];
    const kept = s.int("keepdims", 1) === 1;
    const keep = (value: string): string =>
      kept ? value : axes === undefined ? s.op("Unsqueeze", [value, s.x(1)]) : s.unsqueeze(value, axes);
    return [rule(s, { keep, axes }), undefined];
  };
}

const elements = (s: Site, axes: readonly number[] | undefined): number | undefined => {
  const shape = s.shape(s.x(0));
  const dims = axes?.map((axis) => shape[axis]);
  return dims?.every((dim) => typeof dim === "number") ? dims.reduce((a, b) => a * b, 1) : undefined;
};

const mean = reduction(
  (s, { keep, axes }) => {
    const x = s.x(0);
    const count = elements(s, axes);
    if (count !== undefined) return s.expandLike(s.scale(keep(s.g), 1 / count), x);
    return s.expandLike(s.div(keep(s.g), s.share(x, s.y)), x);
  },
  (s) => s.g,
);

/** Elements that equal the extremum share its gradient evenly. */
const extremum = reduction(
  (s, { keep, axes }) => {
    const mask = s.op("Equal", [s.x(0), keep(s.y)]);
    const ones = s.cast(mask, s.floatType);
    const count = axes === undefined ? s.op("ReduceSum", [ones, s.x(1)], { keepdims: 1 }) : s.sum(ones, axes);
    return s.where(mask, s.div(keep(s.g), count), s.k(0));
  },
  (s) => s.g,
);

/** Beyond this length the products of all others would take too much memory. */
const LONGEST_PRODUCT = 2048;

const product = reduction(
  (s, { keep, axes }) => {
    const x = s.x(0);
    const count = elements(s, axes);
    if (count === undefined || axes === undefined) throw new Refusal("its axes or sizes are not known");
    if (count > LONGEST_PRODUCT) throw new Refusal(`it multiplies more than ${LONGEST_PRODUCT} elements`);
    // The product of all others, for each: right also where elements are zero.
    const rest = s
      .shape(x)
      .map((_, i) => i)
      .filter((i) => !axes.includes(i));
    const perm = [...rest, ...axes];
    const sizes = s.dims(x);
    const front = s.reshape(s.transpose(x, perm), [...rest.map((i) => sizes[i]!), count]);
    const shape = [...rest.map((i) => sizes[i]!), count, count];
    const repeated = s.op("Expand", [s.unsqueeze(front, [rest.length]), s.vector(shape)]);
    const eye = s.op("EyeLike", [s.op("Expand", [s.k(0, "int32"), s.vector([count, count])])]);
    const others = s.op(
      "ReduceProd",
      [s.where(s.op("Equal", [eye, s.k(1, "int32")]), s.k(1), repeated), s.vector([rest.length + 1])],
      { keepdims: 0 },
    );
    const back = s.reshape(
      others,
      perm.map((i) => sizes[i]!),
    );
    const inverse = perm.map((_, axis) => perm.indexOf(axis));
    return s.mul(keep(s.g), s.transpose(back, inverse));
  },
  (s) => s.g,
);

const axisSum = (s: Site, value: string): string =>
  s.op("ReduceSum", [value, s.vector([s.axis("axis", -1, s.x(0))])], { keepdims: 1 });

/**
 * Of a gradient that is zero but at a few places of each row (GatherElements: the labels of a cross-entropy) only
 * these are summed and added.
 */
const logSoftmax: Rule = (s) => {
  const axis = s.axis("axis", -1, s.x(0));
  const spread = s.made(s.g);
  const [zeros, indices, picked] = (spread?.op === "ScatterElements" ? spread.inputs : []) as string[];
  const places = indices === undefined ? undefined : s.shapeIfKnown(indices);
  // Indices may leave out rows of the other axes.
  const all = places?.every((dim, i) => i === axis || (dim !== null && dim === s.shape(s.x(0))[i]));
  if (all === true && spread?.attrs.axis === axis && s.isZeros(zeros!)) {
    const sum = s.op("ReduceSum", [picked!, s.vector([axis])], { keepdims: 1 });
    const rest = s.mul(s.op("Exp", [s.y]), s.neg(sum));
    return [s.op("ScatterElements", [rest, indices!, picked!], { axis, reduction: "add" })];
  }
  return [s.sub(s.g, s.mul(s.op("Exp", [s.y]), axisSum(s, s.g)))];
};

const zero: Rule = () => [ZERO];

export const REDUCTION = {
  ReduceSum: reduction(
    (s, { keep }) => s.expandLike(keep(s.g), s.x(0)),
    (s) => s.g,
  ),
  ReduceMean: mean,
  ReduceMax: extremum,
  ReduceMin: extremum,
  ReduceProd: product,
  ReduceL1: reduction(
    (s, { keep }) => s.mul(keep(s.g), s.op("Sign", [s.x(0)])),
    (s) => s.mul(s.g, s.op("Sign", [s.x(0)])),
  ),
  ReduceL2: reduction(
    (s, { keep }) => {
      const y = keep(s.y);
      const isZero = s.op("Equal", [y, s.k(0)]);
      return s.where(isZero, s.k(0), s.mul(keep(s.g), s.div(s.x(0), s.where(isZero, s.k(1), y))));
    },
    (s) => s.mul(s.g, s.op("Sign", [s.x(0)])),
  ),
  ReduceSumSquare: reduction(
    (s, { keep }) => s.mul(keep(s.g), s.scale(s.x(0), 2)),
    (s) => s.mul(s.g, s.scale(s.x(0), 2)),
  ),
  ReduceLogSum: reduction(
    (s, { keep }) => s.expandLike(s.mul(keep(s.g), s.op("Exp", [s.neg(keep(s.y))])), s.x(0)),
    (s) => s.div(s.g, s.x(0)),
  ),
  ReduceLogSumExp: reduction(
    (s, { keep }) => s.mul(keep(s.g), s.op("Exp", [s.sub(s.x(0), keep(s.y))])),
    (s) => s.g,
  ),
  Softmax: (s) => [s.mul(s.y, s.sub(s.g, axisSum(s, s.mul(s.g, s.y))))],
  LogSoftmax: logSoftmax,
  Hardmax: zero,
} satisfies Record<string, Rule>;
