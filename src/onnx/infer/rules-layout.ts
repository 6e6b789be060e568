/** Inference rules of ops that arrange elements anew: reshape, transpose, concat, split, slice, pad, tile. */
import type { Dim } from "../graph.js";
import { type Call, type Output, type Rule, type Shape, shaped, unknownDims } from "./call.js";
import { addDims, atMost, divideExactly, divideUp, multiplyDims, productOf, subtractDims } from "./dim.js";
import { broadcastAll, broadcastDims } from "./rules-elementwise.js";

export const reshape: Rule = (call) => {
  const target = call.ints("shape") ?? call.items(1);
  const x = call.shape(0);
  if (target === undefined) {
    const rank = call.shape(1)?.[0];
    return shaped(typeof rank === "number" ? unknownDims(rank) : undefined);
  }
  const zeroIsSize = call.int("allowzero", 0) !== 0;
  const dims = target.map((dim, i): Dim => {
    if (dim !== 0 || zeroIsSize) return dim;
    if (x !== undefined && i >= x.length) {
      throw call.fail("copies a size that its input does not have", `position ${i}`);
    }
    return x?.[i] ?? null;
  });
  const open = dims.indexOf(-1);
  const total = x === undefined ? null : productOf(x);
  if (open < 0) return shaped(fillOnlyGap(call, dims, total));
  const others = dims.filter((_, i) => i !== open);
  if (others.includes(-1)) throw call.fail("leaves two sizes open", `[${dims.join(", ")}]`);
  // Sizes that are copied cancel out, also where they are unknown.
  const copied = target.flatMap((dim, i) => (dim === 0 && !zeroIsSize ? [i] : []));
  const left = x?.filter((_, i) => !copied.includes(i));
  const rest = target.filter((dim, i) => i !== open && !copied.includes(i) && dim !== -1);
  dims[open] = left === undefined ? null : quotient(call, left, rest);
  return shaped(dims);
};

function quotient(call: Call, left: Shape, rest: readonly Dim[]): Dim {
  const [total, part] = [productOf(left), productOf(rest)];
  if (
    typeof total === "number" &&
    typeof part === "number" &&
    (part === 0 ? total !== 0 : total % part !== 0)
  ) {
    throw call.fail(
      "gives a shape with another number of elements",
      `${total} elements into [${rest.join(", ")}]`,
    );
  }
  return divideExactly(total, part);
}

/** One unknown size follows from the number of elements; sizes that are all known must give it. */
function fillOnlyGap(call: Call, dims: readonly Dim[], total: Dim): Shape {
  const gaps = dims.filter((dim) => dim === null).length;
  const known = productOf(dims.filter((dim) => dim !== null));
  if (gaps === 0 && typeof total === "number" && typeof known === "number" && total !== known) {
    throw call.fail(
      "gives a shape with another number of elements",
      `${total} elements into [${dims.join(", ")}]`,
    );
  }
  if (gaps !== 1 || known === 0) return dims;
  const missing = divideExactly(total, known);
  return dims.map((dim) => dim ?? missing);
}

export const transpose: Rule = (call) => {
  const x = call.shape(0);
  if (x === undefined) return [];
  const order = call.ints("perm") ?? [...x.keys()].reverse();
  const axes = order.map((axis) => call.axis(axis, x.length));
  if (new Set(axes).size !== x.length) {
    throw call.fail("has an order of axes that is none of its input", `[${order.join(", ")}]`);
  }
  return shaped(axes.map((axis) => x[axis]!));
};

export const squeeze: Rule = (call) => {
  const x = call.shape(0);
  const given = call.axes("axes", 1);
  if (x === undefined || given === "unknown") return [];
  if (given === "absent") {
    const isClear = x.every((dim) => typeof dim === "number");
    return shaped(isClear ? x.filter((dim) => dim !== 1) : undefined);
  }
  const axes = new Set(given.map((axis) => call.axis(axis, x.length)));
  for (const axis of axes) {
    const dim = x[axis];
    if (typeof dim === "number" && dim !== 1)
      throw call.fail("drops an axis whose size is not 1", `axis ${axis}`);
  }
  return shaped(x.filter((_, i) => !axes.has(i)));
};

export const unsqueeze: Rule = (call) => {
  const x = call.shape(0);
  const given = call.axes("axes", 1);
  if (x === undefined) return [];
  if (typeof given === "string") {
    const added = call.shape(1)?.[0];
    return shaped(typeof added === "number" ? unknownDims(x.length + added) : undefined);
  }
  const rank = x.length + given.length;
  const axes = new Set(given.map((axis) => call.axis(axis, rank)));
  if (axes.size !== given.length) throw call.fail("adds an axis twice", `[${given.join(", ")}]`);
  const old = [...x];
  return shaped(Array.from({ length: rank }, (_, i) => (axes.has(i) ? 1 : old.shift()!)));
};

export const flatten: Rule = (call) => {
  const x = call.shape(0);
  if (x === undefined) return shaped([null, null]);
  const axis = call.int("axis", 1);
  const at = axis < 0 ? axis + x.length : axis;
  return shaped([productOf(x.slice(0, at)), productOf(x.slice(at))]);
};

export const concat: Rule = (call) => {
  const shapes = call.node.inputs.map((_, i) => call.shape(i));
  const first = shapes.find((shape) => shape !== undefined);
  if (first === undefined) return [];
  const axis = call.axis(call.int("axis", 1), first.length);
  const dims = first.map((_, i): Dim => {
    if (i === axis) return shapes.reduce<Dim>((sum, shape) => addDims(sum, shape?.[i] ?? null), 0);
    return shapes.reduce<Dim>((dim, shape) => sameDim(call, dim, shape?.[i] ?? null), null);
  });
  if (shapes.some((shape) => shape !== undefined && shape.length !== first.length)) {
    throw call.fail("joins values of different rank", shapes.map((shape) => shape?.length).join(", "));
  }
  return shaped(dims);
};

/** A dim that two values share. */
function sameDim(call: Call, a: Dim, b: Dim): Dim {
  if (typeof a === "number" && typeof b === "number" && a !== b) {
    throw call.fail("joins values of different sizes", `${a} and ${b}`);
  }
  if (a === null || typeof b === "number") return b ?? a;
  return a;
}

export const split: Rule = (call) => {
  const x = call.shape(0);
  if (x === undefined) return [];
  const axis = call.axis(call.int("axis", 0), x.length);
  const count = call.node.outputs.length;
  const sizes: readonly Dim[] =
    call.ints("split") ??
    (call.has(1) ? (call.items(1) ?? unknownDims(count)) : parts(x[axis]!, count, call));
  return call.node.outputs.map(
    (_, i): Output => ({ shape: x.map((dim, at) => (at === axis ? (sizes[i] ?? null) : dim)) }),
  );
};

/** Equal parts; with `num_outputs` the last may be smaller. */
function parts(dim: Dim, count: number, call: Call): Dim[] {
  const exact = divideExactly(dim, count);
  if (exact !== null || typeof dim !== "number") return new Array<Dim>(count).fill(exact);
  const size = Math.ceil(dim / count);
  const last = dim - size * (count - 1);
  if (last < 0 || call.int("num_outputs") === undefined) return unknownDims(count);
  return [...new Array<Dim>(count - 1).fill(size), last];
}

export const slice: Rule = (call) => {
  const x = call.shape(0);
  if (x === undefined) return [];
  const starts: readonly Dim[] | undefined = call.ints("starts") ?? call.items(1);
  const ends: readonly Dim[] | undefined = call.ints("ends") ?? call.items(2);
  const axes = call.axes("axes", 3);
  const steps: readonly Dim[] | undefined = call.has(4) ? call.items(4) : [];
  const dims = [...x];
  if (axes === "unknown") return shaped(unknownDims(x.length));
  const count = starts?.length ?? ends?.length ?? call.shape(1)?.[0];
  const sliced =
    axes === "absent" ? (typeof count === "number" ? [...Array(count).keys()] : [...x.keys()]) : axes;
  sliced.forEach((given, i) => {
    const axis = call.axis(given, x.length);
    const step = steps === undefined ? null : (steps[i] ?? (call.has(4) ? null : 1));
    dims[axis] = span(x[axis]!, starts?.[i] ?? null, ends?.[i] ?? null, step);
  });
  return shaped(dims);
};

/** Elements between `start` and `end`, which count from the end when negative and are cut to the axis. */
function span(dim: Dim, start: Dim, end: Dim, step: Dim): Dim {
  if (typeof step !== "number" || step === 0) return null;
  if (typeof dim === "number" && typeof start === "number" && typeof end === "number") {
    const [from, to] = bounds(dim, start, end, step);
    return Math.max(0, Math.ceil((to - from) / step));
  }
  if (step < 0) return fullReverse(dim, start, end, step);
  // Of an axis of unknown size only whole ends and fixed margins can be told.
  const isToEnd = typeof end === "number" && end >= 2 ** 31 - 1;
  if (typeof start === "number" && start >= 0 && (isToEnd || end === dim)) {
    // Whether the axis is as long as `start` is not known.
    return start === 0
      ? divideUp(dim, step)
      : isSurelyAtLeast(dim, start)
        ? divideUp(subtractDims(dim, start), step)
        : null;
  }
  if (start === 0 && typeof end === "number" && end < 0 && isSurelyAtLeast(dim, -end)) {
    return divideUp(addDims(dim, end), step);
  }
  // A table cut to the length of the input: `positions[:S]`.
  if (start === 0 && step === 1 && typeof dim === "number" && typeof end === "string" && !end.includes("-")) {
    return atMost(end, dim);
  }
  return null;
}

function fullReverse(dim: Dim, start: Dim, end: Dim, step: number): Dim {
  const isFromEnd = start === -1 || (typeof start === "number" && start >= 2 ** 31 - 1);
  return step === -1 && isFromEnd && typeof end === "number" && end <= -(2 ** 31) + 1 ? dim : null;
}

function bounds(dim: number, start: number, end: number, step: number): [number, number] {
  const from = start < 0 ? start + dim : start;
  const to = end < 0 ? end + dim : end;
  const cut = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);
  return step > 0 ? [cut(from, 0, dim), cut(to, 0, dim)] : [cut(from, 0, dim - 1), cut(to, -1, dim - 1)];
}

/** For an expression with a constant part (`S+2`), whose symbols are sizes ≥ 0. */
function isSurelyAtLeast(dim: Dim, least: number): boolean {
  if (typeof dim === "number") return dim >= least;
  if (dim === null || /-/.test(dim)) return false;
  const constant = /\+(\d+)$/.exec(dim);
  return constant !== null && Number(constant[1]) >= least;
}

export const expand: Rule = (call) => {
  const target = call.items(1);
  const x = call.shape(0);
  if (target !== undefined) return shaped(broadcastAll(call, [x, target]));
  const rank = call.shape(1)?.[0];
  if (x === undefined || typeof rank !== "number") return [];
  const least = Math.max(rank, x.length);
  return shaped(
    Array.from({ length: least }, (_, i) =>
      broadcastDims(call, [x[i - (least - x.length)] ?? 1, i < least - rank ? 1 : null]),
    ),
  );
};

export const tile: Rule = (call) => {
  const x = call.shape(0);
  const repeats = call.items(1);
  return shaped(x?.map((dim, i) => multiplyDims(dim, repeats?.[i] ?? null)));
};

export const pad: Rule = (call) => {
  const x = call.shape(0);
  if (x === undefined) return [];
  const pads: readonly Dim[] | undefined = call.ints("pads") ?? call.ints("paddings") ?? call.items(1);
  const given = call.has(3) ? call.numbers(3) : [...x.keys()];
  if (pads === undefined || given === undefined) return shaped(unknownDims(x.length));
  const dims = [...x];
  given.forEach((axis, i) => {
    const at = call.axis(axis, x.length);
    dims[at] = addDims(addDims(x[at]!, pads[i] ?? null), pads[given.length + i] ?? null);
  });
  return shaped(dims);
};

/** CenterCropPad: the sizes that the second input names, on all axes or on `axes`. */
export const centerCropPad: Rule = (call) => {
  const x = call.shape(0);
  if (x === undefined) return [];
  const axes = call.ints("axes")?.map((axis) => call.axis(axis, x.length)) ?? [...x.keys()];
  const sizes = call.items(1);
  return shaped(x.map((dim, i) => (axes.includes(i) ? (sizes?.[axes.indexOf(i)] ?? null) : dim)));
};

/** Crop (an op of old converters): `border` is left, top, right, bottom; `scale` the size behind left and top. */
export const crop: Rule = (call) => {
  const x = call.shape(0);
  const [left, top, right, bottom] = call.ints("border") ?? [];
  const scale = call.ints("scale");
  if (x?.length !== 4) return [];
  if (scale?.length === 2) return shaped([x[0]!, x[1]!, scale[0]!, scale[1]!]);
  if (bottom === undefined) return [];
  return shaped([x[0]!, x[1]!, addDims(x[2]!, -(top! + bottom)), addDims(x[3]!, -(left! + right!))]);
};
