/** Tensors as people read them: dtype, shape, and values with the middle of long axes left out. */
import { dtypeInfo, type Element, type NestedArray, type Tensor } from "../tensor/index.js";

/** Entries shown at each end of an axis that is cut. */
const EDGE = 3;
/** Axes up to this length are shown whole; more than `WHOLE` elements in all cut every longer axis. */
const SHORT = 2 * EDGE;
const WHOLE = 100;

/** `float32 [1, 3]` and the values, nested like the shape: `[[0.1, 0.2, 0.7]]`. */
export function tensorText(tensor: Tensor): string {
  const cut = tensor.shape.reduce((a, b) => a * b, 1) > WHOLE;
  return `${tensor.dtype} [${tensor.shape.join(", ")}]\n${nested(tensor, [], cut)}`;
}

/** Nested arrays for JSON; float32 values have the shortest decimal that reads back as the same float32. */
export function jsonValues(tensor: Tensor): NestedArray {
  const values = tensor.toArray();
  return tensor.dtype === "float32" ? shortened(values) : values;
}

function shortened(values: NestedArray): NestedArray {
  if (Array.isArray(values)) return (values as readonly NestedArray[]).map(shortened);
  return typeof values === "number" ? shortestFloat32(values) : values;
}

function shortestFloat32(value: number): number {
  for (let digits = 6; digits < 9; digits++) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return short;
  }
  return value;
}

function nested(tensor: Tensor, path: readonly number[], cut: boolean): string {
  const axis = path.length;
  if (axis === tensor.rank) return elementText(tensor.at(...path), tensor);
  const length = tensor.shape[axis]!;
  const shown =
    cut && length > SHORT
      ? [...range(0, EDGE), undefined, ...range(length - EDGE, length)]
      : range(0, length);
  const parts = shown.map((index) => (index === undefined ? "…" : nested(tensor, [...path, index], cut)));
  const separator = axis === tensor.rank - 1 ? ", " : `,\n${" ".repeat(axis + 1)}`;
  return `[${parts.join(separator)}]`;
}

function elementText(element: Element, { dtype }: Tensor): string {
  if (typeof element === "string") return JSON.stringify(element);
  if (Array.isArray(element)) return `(${element.join(" + ")}i)`;
  if (typeof element !== "number" || Number.isInteger(element)) return String(element);
  if (dtype === "float32") return String(shortestFloat32(element));
  // Smaller floats: the digits that their precision can carry.
  return dtypeInfo(dtype).bits < 32 ? String(Number(element.toPrecision(4))) : String(element);
}

function range(from: number, to: number): number[] {
  return Array.from({ length: Math.max(0, to - from) }, (_, i) => from + i);
}
