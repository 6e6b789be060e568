/** Ops that move elements without changing them: views, repeats, padding. */
import type { Size, TensorValue } from "./arguments.js";
import { allAxes, axesOf, axisOf, type Emitter, END, isFloat } from "./emitter.js";
import type { OpHandler, OpRows } from "./handler.js";
import { Unsupported } from "./unsupported.js";

const view: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const name = args.has("size") ? "size" : "shape";
  const sizes = args.sizes(name);
  return c.reshape(x.value, sizes.length === 0 ? [] : sizes);
};

const viewAs: OpHandler = (c, args) => {
  const [x, other] = [args.tensor("self"), args.tensor("other")];
  return c.add("Reshape", [x.value, c.shapeOf(other)], { allowzero: 1 });
};

const flatten: OpHandler = (c, args) => {
  const x = args.tensor("self");
  if (x.rank === 0) return c.reshape(x.value, [1]);
  const start = axisOf(args.number("start_dim", 0), x.rank);
  const end = axisOf(args.number("end_dim", -1), x.rank);
  const joined = x.dims.slice(start, end + 1);
  const flat = joined.every((dim) => dim !== null)
    ? (joined as number[]).reduce((product, dim) => product * dim, 1)
    : -1;
  const size = (axis: number): Size => c.dim(x, axis);
  return c.reshape(x.value, [
    ...allAxes(start).map(size),
    flat,
    ...allAxes(x.rank)
      .slice(end + 1)
      .map(size),
  ]);
};

const unflatten: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const axis = axisOf(args.number("dim"), x.rank);
  const sizes = args.sizes("sizes");
  const dims = allAxes(x.rank).map((i) => c.dim(x, i));
  return c.reshape(x.value, [...dims.slice(0, axis), ...sizes, ...dims.slice(axis + 1)]);
};

/** Only axes that are 1 in the program go; a free one was seen with other sizes. */
const squeeze: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const axes = args.has("dim") ? axesOf(args.sizesOrOne("dim"), x.rank) : allAxes(x.rank);
  return c.squeeze(x.value, ...axes.filter((axis) => x.dims[axis] === 1));
};

const unsqueeze: OpHandler = (c, args) => {
  const x = args.tensor("self");
  return c.unsqueeze(x.value, axisOf(args.number("dim"), x.rank + 1));
};

const swap =
  (first: string, second: string): OpHandler =>
  (c, args) => {
    const x = args.tensor("self");
    const [a, b] = [axisOf(args.number(first), x.rank), axisOf(args.number(second), x.rank)];
    const perm = allAxes(x.rank);
    if (x.rank > 0) [perm[a], perm[b]] = [perm[b]!, perm[a]!];
    return c.transpose(x.value, perm);
  };

const permute: OpHandler = (c, args) => {
  const x = args.tensor("self");
  return c.transpose(x.value, axesOf(args.ints("dims"), x.rank));
};

const reversed: OpHandler = (c, args) => {
  const x = args.tensor("self");
  return c.transpose(x.value, allAxes(x.rank).reverse());
};

const movedim: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const from = axesOf(args.sizesOrOne("source"), x.rank);
  const to = axesOf(args.sizesOrOne("destination"), x.rank);
  const perm = new Array<number>(x.rank).fill(-1);
  from.forEach((axis, i) => {
    perm[to[i]!] = axis;
  });
  const rest = allAxes(x.rank).filter((axis) => !from.includes(axis));
  return c.transpose(
    x.value,
    perm.map((axis) => (axis < 0 ? rest.shift()! : axis)),
  );
};

const expand: OpHandler = (c, args) => {
  args.ignore("implicit");
  const sizes = args.sizes("size").map((size) => (size === -1 ? 1 : size));
  return c.add("Expand", [args.tensor("self").value, c.shape(sizes)]);
};

const expandAs: OpHandler = (c, args) =>
  c.add("Expand", [args.tensor("self").value, c.shapeOf(args.tensor("other"))]);

const repeat =
  (name: string): OpHandler =>
  (c, args) => {
    const x = args.tensor("self");
    const given = args.sizes(name);
    const missing = x.rank - given.length;
    const times = missing > 0 ? [...new Array<Size>(missing).fill(1), ...given] : given;
    const value = c.unsqueeze(x.value, ...allAxes(Math.max(0, -missing)));
    return times.length === 0 ? value : c.add("Tile", [value, c.shape(times)]);
  };

const repeatInterleave: OpHandler = (c, args) => {
  args.ignore("output_size");
  const x = args.tensor("self");
  const times = args.number("repeats");
  if (!args.has("dim")) {
    const flat = c.unsqueeze(c.reshape(x.value, [-1]), 1);
    return c.reshape(c.add("Tile", [flat, c.ints([1, times])]), [-1]);
  }
  const axis = axisOf(args.number("dim"), x.rank);
  const dims = allAxes(x.rank).map((i) => c.dim(x, i));
  const tiles = allAxes(x.rank + 1).map((i) => (i === axis + 1 ? times : 1));
  const tiled = c.add("Tile", [c.unsqueeze(x.value, axis + 1), c.ints(tiles)]);
  return c.reshape(
    tiled,
    dims.map((dim, i) => (i === axis ? -1 : dim)),
  );
};

const roll: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const shifts = args.ints("shifts");
  const dims = axesOf(args.ints("dims", []), x.rank);
  if (dims.length === 0) throw new Unsupported("roll over all elements");
  return dims.reduce((value, axis, i) => {
    const shift = shifts[i]!;
    const size = x.dims[axis];
    const by = size ? ((shift % size) + size) % size : shift;
    if (by === 0) return value;
    return c.add("Concat", [c.slice(value, axis, -by, END), c.slice(value, axis, 0, -by)], { axis });
  }, x.value);
};

const flip: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const axes = axesOf(args.ints("dims"), x.rank);
  if (axes.length === 0 || x.rank === 0) return x.value;
  const each = (value: number): string => c.ints(axes.map(() => value));
  return c.add("Slice", [x.value, each(-1), each(-END), c.ints(axes), each(-1)]);
};

const MODES: Readonly<Record<string, string>> = {
  constant: "constant",
  reflect: "reflect",
  replicate: "edge",
  circular: "wrap",
};

/** Pads come last axis first, before and after. */
function padded(c: Emitter, x: TensorValue, pads: readonly Size[], mode: string, value?: string): string {
  const before: Size[] = new Array<Size>(x.rank).fill(0);
  const after: Size[] = new Array<Size>(x.rank).fill(0);
  for (let i = 0; i < pads.length; i += 2) {
    before[x.rank - 1 - i / 2] = pads[i]!;
    after[x.rank - 1 - i / 2] = pads[i + 1]!;
  }
  if (mode !== "constant" && pads.some((pad) => typeof pad === "number" && pad < 0)) {
    throw new Unsupported(`negative pads with mode ${mode}`);
  }
  return c.add("Pad", [x.value, c.shape([...before, ...after]), value], { mode });
}

const pad =
  (fixed?: string): OpHandler =>
  (c, args, { dtype }) => {
    const x = args.tensor("self");
    const name = fixed ?? args.text("mode", "constant");
    const mode = MODES[name];
    if (mode === undefined) throw new Unsupported(`mode = ${name}`);
    const pads = args.has("pad") ? args.sizes("pad") : args.sizes("padding");
    if (dtype === "bool") throw new Unsupported("padding of bools");
    if (mode === "wrap" && x.dims.includes(0)) throw new Unsupported("circular padding of no elements");
    const value = args.scalar("value", 0);
    return padded(c, x, pads, mode, mode === "constant" ? c.scalar(value, dtype) : undefined);
  };

const pixelShuffle: OpHandler = (c, args) => {
  const x = args.tensor("self");
  if (!isFloat(x.dtype)) throw new Unsupported(`values of ${x.dtype}`);
  if (x.rank !== 4) throw new Unsupported(`rank ${x.rank}`);
  return c.add("DepthToSpace", [x.value], { blocksize: args.number("upscale_factor"), mode: "CRD" });
};

const pixelUnshuffle: OpHandler = (c, args) => {
  const x = args.tensor("self");
  if (x.rank !== 4) throw new Unsupported(`rank ${x.rank}`);
  const by = args.number("downscale_factor");
  const [n, ch, h, w] = allAxes(4).map((axis) => c.dim(x, axis));
  const [height, width] = [h, w].map((size) => {
    if (typeof size !== "number") throw new Unsupported("a free height or width");
    return size / by;
  });
  if (typeof ch !== "number") throw new Unsupported("free channels");
  const cells = c.reshape(x.value, [n!, ch, height!, by, width!, by]);
  return c.reshape(c.transpose(cells, [0, 1, 3, 5, 2, 4]), [n!, ch * by * by, height!, width!]);
};

const channelShuffle: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const groups = args.number("groups");
  const channels = x.dims[1];
  if (channels === null || channels === undefined) throw new Unsupported("free channels");
  const dims = allAxes(x.rank).map((axis) => c.dim(x, axis));
  const grouped = c.reshape(x.value, [dims[0]!, groups, channels / groups, ...dims.slice(2)]);
  const perm = allAxes(x.rank + 1);
  [perm[1], perm[2]] = [2, 1];
  return c.reshape(c.transpose(grouped, perm), dims);
};

const unfold: OpHandler = (c, args) => {
  const x = args.tensor("self");
  const axis = axisOf(args.number("dimension"), x.rank);
  const [size, step] = [args.number("size"), args.number("step")];
  const length = x.dims[axis];
  if (typeof length !== "number") throw new Unsupported("a free axis");
  const count = Math.floor((length - size) / step) + 1;
  const rows = allAxes(count).map((i) => allAxes(size).map((j) => i * step + j));
  const taken = c.add("Gather", [x.value, c.table(`unfold:${length},${size},${step}`, rows, "int64")], {
    axis,
  });
  const perm = allAxes(x.rank + 1).filter((i) => i !== axis + 1);
  return c.transpose(taken, [...perm, axis + 1]);
};

const triangle =
  (upper: 0 | 1): OpHandler =>
  (c, args, { dtype }) => {
    const k = c.int(args.number("diagonal", 0));
    const inner = dtype === "bool" ? "int32" : dtype;
    if (dtype === "bool" || inner === "int32") {
      const wide = c.cast(args.tensor("self").value, dtype, "int64");
      return c.cast(c.add("Trilu", [wide, k], { upper }), "int64", dtype);
    }
    return c.add("Trilu", [args.tensor("self").value, k], { upper });
  };

const meshgrid: OpHandler = (c, args) => {
  const tensors = args.tensors("tensors");
  const indexing = args.text("indexing", "ij");
  if (indexing !== "ij" && indexing !== "xy") throw new Unsupported(`indexing = ${indexing}`);
  // With "xy" the first two change places, among the axes as among the grids.
  const places = allAxes(tensors.length);
  if (indexing === "xy" && tensors.length > 1) [places[0], places[1]] = [1, 0];
  const ordered = places.map((i) => tensors[i]!);
  const shape = c.shape(ordered.map((x) => (x.rank === 0 ? 1 : c.dim(x, 0))));
  const grids = ordered.map((x, i) => {
    const dims = ordered.map((_, j) => (i === j ? -1 : 1));
    return c.add("Expand", [c.reshape(x.value, dims), shape]);
  });
  return places.map((i) => grids[i]!);
};

// biome-ignore format: a table is read by columns
export const SHAPE: OpRows = {
  "view.default": view,
  "reshape.default": view,
  "_unsafe_view.default": view,
  "view_copy.default": view,
  "view_as.default": viewAs,
  "reshape_as.default": viewAs,
  "flatten.using_ints": flatten,
  "unflatten.int": unflatten,
  "squeeze.default": squeeze,
  "squeeze.dim": squeeze,
  "squeeze.dims": squeeze,
  "unsqueeze.default": unsqueeze,
  "transpose.int": swap("dim0", "dim1"),
  "swapaxes.default": swap("axis0", "axis1"),
  "swapdims.default": swap("dim0", "dim1"),
  "permute.default": permute,
  "t.default": reversed,
  "numpy_T.default": reversed,
  "movedim.int": movedim,
  "movedim.intlist": movedim,
  "expand.default": expand,
  "expand_as.default": expandAs,
  "repeat.default": repeat("repeats"),
  "tile.default": repeat("dims"),
  "repeat_interleave.self_int": repeatInterleave,
  "roll.default": roll,
  "flip.default": flip,
  "pad.default": pad(),
  "constant_pad_nd.default": pad("constant"),
  "reflection_pad1d.default": pad("reflect"),
  "reflection_pad2d.default": pad("reflect"),
  "replication_pad1d.default": pad("replicate"),
  "replication_pad2d.default": pad("replicate"),
  "pixel_shuffle.default": pixelShuffle,
  "pixel_unshuffle.default": pixelUnshuffle,
  "channel_shuffle.default": channelShuffle,
  "unfold.default": unfold,
  "tril.default": triangle(0),
  "triu.default": triangle(1),
  "meshgrid.default": meshgrid,
  "meshgrid.indexing": meshgrid,
};
