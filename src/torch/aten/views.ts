/** Which tensors of a program share memory, so that what is written in place is seen through all of them. */
import type { TensorMeta } from "../pt2/program.js";
import type { Arguments, TensorValue } from "./arguments.js";
import { allAxes, axisOf, type Emitter, END } from "./emitter.js";
import { Unsupported } from "./unsupported.js";

/** How a written view is put back: the base with `value` in the view's place. */
export type WriteBack = (
  c: Emitter,
  args: Arguments,
  base: TensorValue,
  value: string,
  index: number,
) => string;

const shaped: WriteBack = (c, args, base, value) => {
  args.ignore("size", "shape", "dim", "sizes", "other", "start_dim", "end_dim");
  return c.add("Reshape", [value, c.shapeOf(base)], { allowzero: 1 });
};

const same: WriteBack = (_c, _args, _base, value) => value;

const exchanged =
  (first: string, second: string): WriteBack =>
  (c, args, base, value) => {
    const [a, b] = [axisOf(args.number(first), base.rank), axisOf(args.number(second), base.rank)];
    const perm = allAxes(base.rank);
    [perm[a], perm[b]] = [perm[b]!, perm[a]!];
    return c.transpose(value, perm);
  };

const permuted: WriteBack = (c, args, base, value) => {
  const perm = args.ints("dims").map((axis) => axisOf(axis, base.rank));
  return c.transpose(
    value,
    perm.map((_, axis) => perm.indexOf(axis)),
  );
};

const reversed: WriteBack = (c, _args, base, value) => c.transpose(value, allAxes(base.rank).reverse());

/** The base with rows from `start` to `end` replaced. */
function between(
  c: Emitter,
  base: TensorValue,
  axis: number,
  bounds: { start: number | string; end: number | string },
  value: string,
): string {
  const parts = [value];
  if (bounds.start !== 0) parts.unshift(c.slice(base.value, axis, 0, bounds.start));
  const size = base.dims[axis];
  const open = typeof bounds.end === "number" && bounds.end >= (size ?? END);
  if (!open) parts.push(c.slice(base.value, axis, bounds.end, END));
  return parts.length === 1 ? value : c.add("Concat", parts, { axis });
}

const sliced: WriteBack = (c, args, base, value) => {
  if (args.number("step", 1) !== 1) throw new Unsupported("write-back through slices with a step");
  const axis = axisOf(args.number("dim", 0), base.rank);
  const bounds = { start: args.size("start", 0), end: args.size("end", END) };
  return between(c, base, axis, bounds, value);
};

const picked = (c: Emitter, base: TensorValue, axis: number, at: number, value: string): string =>
  between(c, base, axis, { start: at, end: at === -1 ? END : at + 1 }, c.unsqueeze(value, axis));

const selected: WriteBack = (c, args, base, value) =>
  picked(c, base, axisOf(args.number("dim"), base.rank), args.number("index"), value);

const unbound: WriteBack = (c, args, base, value, index) =>
  picked(c, base, axisOf(args.number("dim", 0), base.rank), index, value);

const ROWS: Readonly<Record<string, WriteBack>> = {
  "alias.default": same,
  "detach.default": same,
  "lift_fresh.default": same,
  "dropout.default": same,
  "feature_dropout.default": same,
  "alpha_dropout.default": same,
  "view.default": shaped,
  "view_as.default": shaped,
  "unflatten.int": shaped,
  "unsqueeze.default": shaped,
  "squeeze.default": shaped,
  "squeeze.dim": shaped,
  "squeeze.dims": shaped,
  "transpose.int": exchanged("dim0", "dim1"),
  "swapaxes.default": exchanged("axis0", "axis1"),
  "swapdims.default": exchanged("dim0", "dim1"),
  "permute.default": permuted,
  "t.default": reversed,
  "numpy_T.default": reversed,
  "slice.Tensor": sliced,
  "select.int": selected,
  "unbind.int": unbound,
};

/** Views where the base is dense; where it is not, PyTorch may copy, which the file does not tell. */
const MAYBE: Readonly<Record<string, WriteBack>> = {
  "reshape.default": shaped,
  "reshape_as.default": shaped,
  "flatten.using_ints": shaped,
};

/** The tensor itself where nothing has to be changed. */
const ITSELF: ReadonlySet<string> = new Set([
  "to.dtype",
  "to.device",
  "to.dtype_layout",
  "to.other",
  "type_as.default",
  "float.default",
]);

const impossible: WriteBack = () => {
  throw new Unsupported("write-back through this view");
};

/** Views through which nothing is written back; they are taken again after their base was written. */
const OTHERS: ReadonlySet<string> = new Set([
  "narrow.default",
  "split.Tensor",
  "split.default",
  "split_with_sizes.default",
  "chunk.default",
  "tensor_split.indices",
  "tensor_split.sections",
  "expand.default",
  "expand_as.default",
  "unfold.default",
  "movedim.int",
  "movedim.intlist",
]);

/** How a result shares memory with what it was made of. */
export interface Sharing {
  readonly writeBack: WriteBack;
  /** It may be a copy: what is written to either is refused. */
  readonly uncertain: boolean;
}

/** How an op's result shares memory with its first argument; undefined: it is a copy. */
export function sharingOf(
  op: string,
  args: Arguments,
  base: TensorMeta,
  result: TensorMeta,
): Sharing | undefined {
  const certain = (writeBack: WriteBack): Sharing => ({ writeBack, uncertain: false });
  if (ITSELF.has(op)) {
    return base.dtype === result.dtype && !args.boolean("copy", false) ? certain(same) : undefined;
  }
  if (op === "contiguous.default") return isDenseMeta(base) ? certain(same) : undefined;
  const maybe = MAYBE[op];
  if (maybe !== undefined)
    return isDenseMeta(base) ? certain(maybe) : { writeBack: impossible, uncertain: true };
  const row = ROWS[op] ?? (OTHERS.has(op) ? impossible : undefined);
  return row === undefined ? undefined : certain(row);
}

/** Row-major without gaps, as far as sizes are known: free sizes make free strides before them. */
function isDenseMeta({ sizes, strides }: TensorMeta): boolean {
  let expected: number | undefined = 1;
  for (let axis = sizes.length - 1; axis >= 0; axis--) {
    const [size, stride] = [sizes[axis]!, strides[axis]!];
    if (size === 1) continue;
    if ((typeof stride === "number" ? stride : undefined) !== expected) return false;
    expected = expected !== undefined && typeof size === "number" ? expected * size : undefined;
  }
  return true;
}
