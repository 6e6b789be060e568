/** Ops that pick elements by index or write at one. */
import type { DType } from "../../tensor/index.js";
import type { TensorValue } from "./arguments.js";
import { truth } from "./comparison.js";
import { allAxes, axisOf, type Emitter } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

const asIndex = (c: Emitter, x: TensorValue): string => c.cast(x.value, x.dtype, "int64");

const embedding: OpHandler = (c, args) => {
  args.ignore("padding_idx", "scale_grad_by_freq", "sparse");
  return c.add("Gather", [args.tensor("weight").value, asIndex(c, args.tensor("indices"))], { axis: 0 });
};

const indexSelect: OpHandler = (c, args) => {
  const [x, index] = [args.tensor("self"), args.tensor("index")];
  if (x.rank === 0) throw new Unsupported("index_select of a scalar");
  const flat = index.rank === 0 ? c.unsqueeze(asIndex(c, index), 0) : asIndex(c, index);
  return c.add("Gather", [x.value, flat], { axis: axisOf(args.number("dim"), x.rank) });
};

const gather: OpHandler = (c, args) => {
  const [x, index] = [args.tensor("self"), args.tensor("index")];
  args.ignore("sparse_grad");
  if (x.rank === 0 || index.rank !== x.rank) throw new Unsupported("an index of another rank");
  return c.add("GatherElements", [x.value, asIndex(c, index)], { axis: axisOf(args.number("dim"), x.rank) });
};

/** `self[i, :, j]`: one index is a Gather, several are GatherND over the axes that they cover. */
const index: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const given = args.optionalTensors("indices");
  const covered = given.flatMap((value, axis) => (value === undefined ? [] : [{ axis, value }]));
  if (covered.length === 0) return x.value;
  const masks = covered.filter(({ value }) => value.dtype === "bool" || value.dtype === "uint8");
  if (masks.length > 0) {
    const [only] = covered;
    if (covered.length > 1 || only!.axis !== 0 || given.length > 1)
      throw new Unsupported("a mask beside other indices");
    return c.add("GatherND", [x.value, places(c, only!.value)]);
  }
  if (covered.length === 1) {
    const { axis, value } = covered[0]!;
    return c.add("Gather", [x.value, asIndex(c, value)], { axis });
  }
  const axes = covered.map(({ axis }) => axis);
  const adjacent = axes.every((axis, i) => i === 0 || axis === axes[i - 1]! + 1);
  const rest = allAxes(x.rank).filter((axis) => !axes.includes(axis));
  const moved = c.transpose(x.value, [...axes, ...rest]);
  const rank = Math.max(...covered.map(({ value }) => value.rank));
  const picked = c.add("GatherND", [
    moved,
    joined(
      c,
      covered.map(({ value }) => value),
    ),
  ]);
  if (!adjacent || axes[0] === 0) return picked;
  // The indexed axes lie together: their result takes their place.
  const before = axes[0]!;
  const tail = allAxes(rest.length).map((i) => rank + i);
  return c.transpose(picked, [...tail.slice(0, before), ...allAxes(rank), ...tail.slice(before)]);
};

/** Indices broadcast against each other, as the last axis of one tensor. */
function joined(c: Emitter, indices: readonly TensorValue[]): string {
  const values = indices.map((value) => asIndex(c, value));
  const same = indices.every(
    ({ rank, dims }) =>
      rank === indices[0]!.rank && dims.every((dim, i) => dim !== null && dim === indices[0]!.dims[i]),
  );
  let wide = values;
  if (!same) {
    const zero = c.int(0);
    const total = values.map((value) => c.add("Mul", [value, zero])).reduce((a, b) => c.add("Add", [a, b]));
    wide = values.map((value) => c.add("Add", [value, total]));
  }
  return c.add(
    "Concat",
    wide.map((value) => c.unsqueeze(value, -1)),
    { axis: -1 },
  );
}

/** [count, rank]: where a mask holds. */
function places(c: Emitter, mask: TensorValue): string {
  return c.transpose(c.add("NonZero", [truth(c, mask)]), [1, 0]);
}

const maskedSelect: OpHandler = (c, args) => {
  const [x, mask] = [args.tensor("self"), args.tensor("mask")];
  if (x.rank === 0 && mask.rank === 0) throw new Unsupported("masked_select of a scalar");
  const shape = c.shapeOf(mask);
  const value = c.add("Expand", [x.value, shape]);
  const wide = c.add("Expand", [truth(c, mask), c.add("Shape", [value])]);
  const found = c.transpose(c.add("NonZero", [wide]), [1, 0]);
  return c.add("GatherND", [value, found]);
};

const nonzero: OpHandler = (c, args) => {
  const x = args.tensor("self");
  if (x.rank === 0) throw new Unsupported("nonzero of a scalar");
  return places(c, x);
};

const scatter =
  (reduction: "none" | "add"): OpHandler =>
  (c, args, { dtype }) => {
    const [x, at] = [args.tensor("self"), args.tensor("index")];
    if (x.rank === 0 || at.rank === 0) throw new Unsupported("scatter into a scalar");
    const axis = axisOf(args.number("dim"), x.rank);
    const source = args.has("src") ? args.tensor("src") : undefined;
    const where = asIndex(c, at);
    const updates =
      source === undefined
        ? c.add("Expand", [c.scalar(args.scalar("value"), dtype), c.shapeOf(at)])
        : cutTo(c, source, at, dtype);
    return c.add("ScatterElements", [c.as(x, dtype), where, updates], { axis, reduction });
  };

/** The part of `src` that the index speaks of. */
function cutTo(c: Emitter, source: TensorValue, at: TensorValue, dtype: DType): string {
  const value = c.as(source, dtype);
  const equal = source.dims.every((dim, axis) => dim !== null && dim === at.dims[axis]);
  if (equal) return value;
  const axes = allAxes(at.rank);
  const zeros = c.ints(axes.map(() => 0));
  return c.add("Slice", [value, zeros, c.shapeOf(at), c.ints(axes)]);
}

/** `self[indices] = values`, or `+=`. */
const indexPut: OpHandler = (c, args, { dtype }) => {
  const x = args.tensor("self");
  const given = args.optionalTensors("indices");
  const values = args.tensor("values");
  const accumulate = args.boolean("accumulate", false);
  const value = c.as(x, dtype);
  if (given.length === 1 && given[0]?.dtype === "bool" && values.rank === 0 && !accumulate) {
    const mask = given[0];
    const wide = c.unsqueeze(mask.value, ...allAxes(x.rank - mask.rank).map((i) => mask.rank + i));
    return c.where(wide, c.as(values, dtype), value, dtype);
  }
  if (given.some((item) => item === undefined || item.dtype === "bool")) {
    throw new Unsupported("index_put with masks or free axes");
  }
  const indices = given as TensorValue[];
  const where = joined(c, indices);
  const rest = allAxes(x.rank)
    .slice(indices.length)
    .map((axis) => c.dim(x, axis));
  const head = c.slice(c.add("Shape", [where]), 0, 0, -1);
  const shape = rest.length === 0 ? head : c.add("Concat", [head, c.shape(rest)], { axis: 0 });
  const updates = c.add("Expand", [c.as(values, dtype), shape]);
  return c.add("ScatterND", [value, where, updates], { reduction: accumulate ? "add" : "none" });
};

const oneHot: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const depth = args.number("num_classes", -1);
  if (depth < 0) throw new Unsupported("num_classes is not given");
  if (x.rank === 0) throw new Unsupported("one_hot of a scalar");
  const values = c.table("const:[0,1]", [0, 1], "int64");
  return c.add("OneHot", [asIndex(c, x), c.ints([depth]), values], { axis: -1 });
};

const takeAlong: OpHandler = (c, args) => {
  const [x, at] = [args.tensor("self"), args.tensor("indices")];
  const axis = axisOf(args.number("dim"), x.rank);
  const fits = x.dims.every((dim, i) => i === axis || (dim !== null && dim === at.dims[i]));
  if (!fits) throw new Unsupported("operands that broadcast");
  return c.add("GatherElements", [x.value, asIndex(c, at)], { axis });
};

export const INDEXING: OpRows = {
  "embedding.default": embedding,
  "index_select.default": indexSelect,
  "gather.default": gather,
  "take_along_dim.default": takeAlong,
  "index.Tensor": index,
  "masked_select.default": maskedSelect,
  "nonzero.default": nonzero,
  "scatter.src": scatter("none"),
  "scatter.value": scatter("none"),
  "scatter_add.default": scatter("add"),
  "index_put.default": indexPut,
  "one_hot.default": oneHot,
};
