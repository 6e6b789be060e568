/** Reshape without a copy: the target shape, and the strides that express it on a strided view. */
import { TenonError } from "../base/index.js";
import { type Layout, sizeOf } from "./layout.js";

/** A shape with at most one -1 as the shape that `size` elements give it; throws TENSOR_SHAPE when they do not fit. */
export function resolveShape(shape: readonly number[], size: number): number[] {
  const unknown = shape.filter((dim) => dim === -1).length;
  const known = sizeOf(shape.map((dim) => (dim === -1 ? 1 : dim)));
  const fits = unknown === 0 ? known === size : unknown === 1 && known > 0 && size % known === 0;
  if (!fits) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "reshape to another number of elements",
      given: `[${shape.join(", ")}]`,
      expected: `a shape of ${size} elements (one dimension may be -1)`,
    });
  }
  return shape.map((dim) => (dim === -1 ? size / known : dim));
}

/** Strides of a strided view in a new shape, or undefined when no strides express it (numpy's `attempt_nocopy_reshape`). */
export function stridesAfterReshape(layout: Layout, target: readonly number[]): number[] | undefined {
  const dims = layout.shape.flatMap((dim, axis) =>
    dim === 1 ? [] : [{ dim, stride: layout.strides[axis]! }],
  );
  const strides = new Array<number>(target.length).fill(1);
  let from = 0;
  let to = 0;
  while (from < dims.length && to < target.length) {
    const firstFrom = from;
    const firstTo = to;
    let have = dims[from++]!.dim;
    let want = target[to++]!;
    while (have !== want) {
      if (want < have) want *= target[to++]!;
      else have *= dims[from++]!.dim;
    }
    for (let axis = firstFrom; axis + 1 < from; axis++) {
      if (dims[axis]!.stride !== dims[axis + 1]!.stride * dims[axis + 1]!.dim) return undefined;
    }
    let step = dims[from - 1]!.stride;
    for (let axis = to - 1; axis >= firstTo; axis--) {
      strides[axis] = step;
      step *= target[axis]!;
    }
  }
  return strides;
}
