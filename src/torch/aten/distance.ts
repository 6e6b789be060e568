/** Distances between vectors, and places in sorted ones. */
import type { DType } from "../../tensor/index.js";
import type { TensorValue } from "./arguments.js";
import { axisOf, type Emitter } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

/** The norm of differences along one axis; NaN where one is among them, which the runtime's maximum passes over. */
function norm(c: Emitter, value: string, order: number, axis: number, keepdims: 0 | 1, dtype: DType): string {
  const over = (op: string, x: string): string => c.add(op, [x, c.ints([axis])], { keepdims });
  switch (order) {
    case 1:
      return over("ReduceL1", value);
    case 2:
      return over("ReduceL2", value);
    case Number.POSITIVE_INFINITY: {
      const marks = c.cast(c.add("IsNaN", [value]), "bool", "int32");
      const some = c.cast(over("ReduceMax", marks), "int32", "bool");
      return c.add("Where", [some, c.scalar(Number.NaN, dtype), over("ReduceMax", c.add("Abs", [value]))]);
    }
    default:
      throw new Unsupported(`p = ${order}`);
  }
}

/** The products of unit vectors; a vector shorter than `eps` counts as that long. */
const cosineSimilarity: OpHandler = (c, args, { dtype, rank }) => {
  const [a, b] = [args.tensor("x1"), args.tensor("x2")];
  const most = rank + 1;
  const axis = axisOf(args.number("dim", 1), most);
  const eps = c.scalar(args.number("eps", 1e-8), dtype);
  const full = [a, b].map((x) => {
    if (x.rank === 0) throw new Unsupported("a scalar");
    return c.unsqueeze(c.as(x, dtype), ...Array.from({ length: most - x.rank }, (_, i) => i));
  });
  // The axis counts as long as both together are.
  const units = full.map((x, i) => {
    const whole = c.add("Expand", [x, c.add("Shape", [full[1 - i]])]);
    return c.add("Div", [whole, c.add("Max", [norm(c, whole, 2, axis, 1, dtype), eps])]);
  });
  return c.add("ReduceSum", [c.add("Mul", units), c.ints([axis])], { keepdims: 0 });
};

const pairwiseDistance: OpHandler = (c, args, { dtype }) => {
  const [a, b] = [args.tensor("x1"), args.tensor("x2")];
  const eps = c.scalar(args.number("eps", 1e-6), dtype);
  const apart = c.add("Add", [c.add("Sub", [c.as(a, dtype), c.as(b, dtype)]), eps]);
  return norm(c, apart, args.number("p", 2), -1, args.boolean("keepdim", false) ? 1 : 0, dtype);
};

/** Every row of one matrix against every row of the other. */
const cdist: OpHandler = (c, args, { dtype }) => {
  const [a, b] = [args.tensor("x1"), args.tensor("x2")];
  args.ignore("compute_mode");
  const [rows, columns] = [c.unsqueeze(c.as(a, dtype), a.rank - 1), c.unsqueeze(c.as(b, dtype), b.rank - 2)];
  return norm(c, c.add("Sub", [rows, columns]), args.number("p", 2), -1, 0, dtype);
};

/** How many bounds lie below a value, or not above it; NaN lies behind all. */
function placeIn(c: Emitter, bounds: string, values: string, right: boolean): string {
  const reached = c.add("Not", [c.add(right ? "Greater" : "GreaterOrEqual", [bounds, values])]);
  return c.add("ReduceSum", [c.cast(reached, "bool", "int64"), c.ints([-1])], { keepdims: 0 });
}

function places(c: Emitter, bounds: TensorValue, values: TensorValue, right: boolean): string {
  if (bounds.dtype !== values.dtype) throw new Unsupported(`${values.dtype} among ${bounds.dtype}`);
  if (bounds.dims.includes(0) || values.dims.includes(0)) throw new Unsupported("tensors without elements");
  if (bounds.rank > 1 && bounds.rank !== values.rank) throw new Unsupported("bounds of another rank");
  const rows = bounds.rank > 1 ? c.unsqueeze(bounds.value, bounds.rank - 1) : bounds.value;
  return placeIn(c, rows, c.unsqueeze(values.value, values.rank), right);
}

const bucketize: OpHandler = (c, args, { dtype }) => {
  args.ignore("out_int32");
  const found = places(c, args.tensor("boundaries"), args.tensor("self"), args.boolean("right", false));
  return c.cast(found, "int64", dtype);
};

const searchsorted: OpHandler = (c, args, { dtype }) => {
  args.ignore("out_int32");
  if (args.has("sorter")) throw new Unsupported("sorter");
  const side = args.text("side", "left");
  const right = args.boolean("right", false) || side === "right";
  const found = places(c, args.tensor("sorted_sequence"), args.tensor("self"), right);
  return c.cast(found, "int64", dtype);
};

export const DISTANCE: OpRows = {
  "cosine_similarity.default": cosineSimilarity,
  "pairwise_distance.default": pairwiseDistance,
  "cdist.default": cdist,
  "bucketize.Tensor": bucketize,
  "searchsorted.Tensor": searchsorted,
};
