/** Joins and cuts: tensors put side by side, and pieces of one. */
import type { TensorValue } from "./arguments.js";
import { allAxes, axisOf, type Emitter, END } from "./emitter.js";
import type { OpHandler, OpRows, OutputMeta } from "./handler.js";
import { Unsupported } from "./unsupported.js";

const cat: OpHandler = (c, args, meta) => {
  const tensors = args.tensors("tensors");
  const axis = axisOf(args.number("dim", 0), meta.rank);
  // An empty list of PyTorch's early days: [0] joins anything.
  const real = tensors.filter((x) => !(x.rank === 1 && x.dims[0] === 0 && meta.rank !== 1));
  const values = real.map((x) => c.as(x, meta.dtype));
  return values.length === 1 ? values[0]! : c.add("Concat", values, { axis });
};

/** Each with at least `rank` axes; joined along the last of these, vectors along their only one. */
const joined =
  (rank: 1 | 2 | 3): OpHandler =>
  (c, args, meta) => {
    const values = args.tensors("tensors").map((x) => {
      const value = c.as(x, meta.dtype);
      if (x.rank === 0) return c.unsqueeze(value, ...allAxes(rank));
      if (x.rank >= rank) return value;
      // A vector is a row, a matrix a plane without depth.
      return x.rank === 1 && rank === 2
        ? c.unsqueeze(value, 0)
        : c.unsqueeze(value, ...(x.rank === 1 ? [0, 2] : [2]));
    });
    const axis = rank === 1 ? Math.min(1, meta.rank - 1) : rank === 2 ? 0 : 2;
    return values.length === 1 ? values[0]! : c.add("Concat", values, { axis });
  };

/** Vectors as columns beside the columns of matrices. */
const columns: OpHandler = (c, args, meta) => {
  const values = args.tensors("tensors").map((x) => {
    const value = c.as(x, meta.dtype);
    return x.rank < 2 ? c.unsqueeze(value, ...(x.rank === 0 ? [0, 1] : [1])) : value;
  });
  return values.length === 1 ? values[0]! : c.add("Concat", values, { axis: 1 });
};

const stack: OpHandler = (c, args, meta) => {
  const axis = axisOf(args.number("dim", 0), meta.rank);
  const values = args.tensors("tensors").map((x) => c.unsqueeze(c.as(x, meta.dtype), axis));
  return values.length === 1 ? values[0]! : c.add("Concat", values, { axis });
};

const slice: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const axis = axisOf(args.number("dim", 0), x.rank);
  const [start, end, step] = [args.size("start", 0), args.size("end", END), args.number("step", 1)];
  if (start === 0 && step === 1 && typeof end === "number" && end >= (x.dims[axis] ?? END)) return x.value;
  return c.slice(x.value, axis, start, end, step);
};

const select: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const axis = axisOf(args.number("dim"), x.rank);
  return c.add("Gather", [x.value, c.sizeValue(args.size("index"))], { axis });
};

const narrow: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const axis = axisOf(args.number("dim"), x.rank);
  const [start, length] = [args.size("start"), args.size("length")];
  const end =
    typeof start === "number" && typeof length === "number"
      ? start + length
      : c.add("Add", [c.sizeValue(start), c.sizeValue(length)]);
  return c.slice(x.value, axis, start, end);
};

/** Pieces whose sizes the program knows. */
function pieces(c: Emitter, x: TensorValue, axis: number, outputs: readonly OutputMeta[]): string[] {
  const sizes = outputs.map((meta) => meta.dims[axis]);
  if (sizes.length === 1) return [x.value];
  if (sizes.some((size) => size === null || size === undefined)) {
    throw new Unsupported("pieces whose sizes are known only at run time");
  }
  return c.addMany("Split", [x.value, c.ints(sizes as number[])], { axis }, sizes.length);
}

const split: OpHandler = (c, args, _, outputs) => {
  const x = args.tensor("self");
  const axis = axisOf(args.number("dim", 0), x.rank);
  args.ignore("split_size", "split_sizes", "chunks", "sections", "indices");
  return pieces(c, x, axis, outputs);
};

const unbind: OpHandler = (c, args, _, outputs) => {
  const x = args.tensor("self");
  const axis = axisOf(args.number("dim", 0), x.rank);
  if (x.dims[axis] === null) throw new Unsupported("unbind of a free axis");
  if (outputs.length === 1) return [c.squeeze(x.value, axis)];
  return c
    .addMany("Split", [x.value], { axis, num_outputs: outputs.length }, outputs.length)
    .map((part) => c.squeeze(part, axis));
};

// biome-ignore format: a table is read by columns
export const PIECES: OpRows = {
  "cat.default": cat,
  "concat.default": cat,
  "stack.default": stack,
  "hstack.default": joined(1),
  "vstack.default": joined(2),
  "dstack.default": joined(3),
  "column_stack.default": columns,
  "slice.Tensor": slice,
  "select.int": select,
  "narrow.default": narrow,
  "split.Tensor": split,
  "split.default": split,
  "split_with_sizes.default": split,
  "chunk.default": split,
  "tensor_split.indices": split,
  "tensor_split.sections": split,
  "unbind.int": unbind,
};
