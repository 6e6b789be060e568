/** Connected components of a map of probabilities: the pixels above a threshold that touch, diagonals included. */
import type { Tensor } from "tenon/tensor";
import type { Point } from "./rectangle.js";

/** The outermost pixel corners of one component, row by row: its convex hull is the hull of these. */
export type Outline = readonly Point[];

/** The outlines of all components of a float32 [height, width] map, in the order of their topmost pixels. */
export function outlinesAbove(map: Tensor<"float32">, threshold: number): Outline[] {
  const [height, width] = map.shape as readonly [number, number];
  const values = map.data;
  const seen = new Uint8Array(width * height);
  const first = new Int32Array(height);
  const last = new Int32Array(height);
  const stack: number[] = [];
  const outlines: Outline[] = [];

  const visit = (index: number): void => {
    if (seen[index] === 1 || !(values[index]! > threshold)) return;
    seen[index] = 1;
    stack.push(index);
  };

  for (let start = 0; start < values.length; start++) {
    visit(start);
    if (stack.length === 0) continue;
    const top = Math.floor(start / width);
    let bottom = top;
    first.fill(width, top);
    last.fill(-1, top);
    for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
      const y = Math.floor(index / width);
      const x = index - y * width;
      bottom = Math.max(bottom, y);
      first[y] = Math.min(first[y]!, x);
      last[y] = Math.max(last[y]!, x);
      for (let ny = Math.max(0, y - 1); ny <= Math.min(height - 1, y + 1); ny++) {
        for (let nx = Math.max(0, x - 1); nx <= Math.min(width - 1, x + 1); nx++) visit(ny * width + nx);
      }
    }
    outlines.push(cornersOfRows(first, last, top, bottom));
  }
  return outlines;
}

function cornersOfRows(first: Int32Array, last: Int32Array, top: number, bottom: number): Point[] {
  const points: Point[] = [];
  for (let y = top; y <= bottom; y++) {
    const left = first[y]!;
    const right = last[y]! + 1;
    points.push({ x: left, y }, { x: right, y }, { x: left, y: y + 1 }, { x: right, y: y + 1 });
  }
  return points;
}
