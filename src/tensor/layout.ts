/** Layout: shape, strides and offset in elements, and the view algebra on them; no data is touched here. */
import { TenonError } from "../base/index.js";

/** Where the elements of a tensor lie in its storage. Strides and offset count elements and may be negative or 0. */
export interface Layout {
  readonly shape: readonly number[];
  readonly strides: readonly number[];
  readonly offset: number;
}

/** Number of elements; 1 for a scalar. Throws TENSOR_SHAPE for dims that are no counts, or an unsafe product. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const dim of shape) {
    if (!Number.isSafeInteger(dim) || dim < 0) {
      throw new TenonError("TENSOR_SHAPE", {
        given: `[${shape.join(", ")}]`,
        expected: "dimensions that are non-negative integers",
      });
    }
    size *= dim;
  }
  if (!Number.isSafeInteger(size)) {
    throw new TenonError("TENSOR_SHAPE", {
      given: `[${shape.join(", ")}]`,
      expected: "fewer than 2^53 elements",
    });
  }
  return size;
}

/** Row-major strides of a dense tensor. */
export function denseStrides(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = step;
    step *= Math.max(shape[axis]!, 1);
  }
  return strides;
}

export function denseLayout(shape: readonly number[], offset = 0): Layout {
  return { shape, strides: denseStrides(shape), offset };
}

/** True when the elements, if any, lie row-major without gaps (strides of dims of size 1 do not matter). */
export function isDense(layout: Layout): boolean {
  if (layout.shape.includes(0)) return true;
  let step = 1;
  for (let axis = layout.shape.length - 1; axis >= 0; axis--) {
    const dim = layout.shape[axis]!;
    if (dim !== 1 && layout.strides[axis] !== step) return false;
    step *= dim;
  }
  return true;
}

/** An axis in [-rank, rank) as one in [0, rank). */
export function normalizeAxis(axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "axis out of range",
      given: String(axis),
      expected: rank === 0 ? "no axis: the tensor is a scalar" : `an integer from ${-rank} to ${rank - 1}`,
    });
  }
  return axis < 0 ? axis + rank : axis;
}

/** An index in [-length, length) as one in [0, length). */
export function resolveIndex(index: number, length: number, axis: number): number {
  if (!Number.isInteger(index) || index < -length || index >= length) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: `index out of range on axis ${axis}`,
      given: String(index),
      expected: length === 0 ? "no index: the axis is empty" : `an integer from ${-length} to ${length - 1}`,
    });
  }
  return index < 0 ? index + length : index;
}

/** numpy's broadcasting of two or more shapes. */
export function broadcastShapes(...shapes: readonly (readonly number[])[]): number[] {
  const rank = Math.max(0, ...shapes.map((shape) => shape.length));
  const result = new Array<number>(rank).fill(1);
  for (const shape of shapes) {
    for (let i = 0; i < shape.length; i++) {
      const at = rank - shape.length + i;
      const dim = shape[i]!;
      if (dim === 1 || dim === result[at]) continue;
      if (result[at] !== 1) {
        throw new TenonError("TENSOR_SHAPE", {
          problem: "shapes do not broadcast",
          given: shapes.map((s) => `[${s.join(", ")}]`).join(" and "),
          expected: "equal dimensions, counted from the last, or 1",
        });
      }
      result[at] = dim;
    }
  }
  return result;
}

/** Calls `visit` with the storage index of every element, in row-major order. */
export function forEachIndex(layout: Layout, visit: (index: number) => void): void {
  const { shape, strides, offset } = layout;
  const size = sizeOf(shape);
  if (size === 0) return;
  const rank = shape.length;
  const inner = rank === 0 ? 1 : shape[rank - 1]!;
  const innerStride = rank === 0 ? 0 : strides[rank - 1]!;
  const counter = new Array<number>(Math.max(rank - 1, 0)).fill(0);
  let base = offset;
  for (let done = 0; done < size; done += inner) {
    for (let i = 0, index = base; i < inner; i++, index += innerStride) visit(index);
    for (let axis = rank - 2; axis >= 0; axis--) {
      base += strides[axis]!;
      if (++counter[axis]! < shape[axis]!) break;
      base -= strides[axis]! * shape[axis]!;
      counter[axis] = 0;
    }
  }
}

/**
 * One shape with several operands' strides, with fewer axes: those of size 1 dropped, neighbours that every operand
 * walks in one stride merged. The result has at least one axis.
 */
export function collapse(
  shape: readonly number[],
  operands: readonly (readonly number[])[],
): { shape: number[]; strides: number[][] } {
  const dims: number[] = [];
  const strides: number[][] = operands.map(() => []);
  for (let axis = 0; axis < shape.length; axis++) {
    const dim = shape[axis]!;
    if (dim === 1) continue;
    const last = dims.length - 1;
    const merges = last >= 0 && operands.every((own, k) => strides[k]![last] === own[axis]! * dim);
    if (merges) dims[last]! *= dim;
    else dims.push(dim);
    const at = dims.length - 1;
    operands.forEach((own, k) => {
      strides[k]![at] = own[axis]!;
    });
  }
  if (dims.length === 0) {
    dims.push(1);
    for (const own of strides) own.push(0);
  }
  return { shape: dims, strides };
}
