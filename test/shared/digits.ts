/** Digits drawn with a pen, in the form in which the MNIST classifier takes them. */
import { type Tensor, tensor } from "tenon/tensor";

type Stroke = readonly [x1: number, y1: number, x2: number, y2: number];

/** Strokes of a pen on the 28 × 28 field. */
export const DIGITS: Readonly<Record<number, readonly Stroke[]>> = {
  0: [
    [14, 6, 9, 9],
    [9, 9, 8, 14],
    [8, 14, 9, 19],
    [9, 19, 14, 22],
    [14, 22, 19, 19],
    [19, 19, 20, 14],
    [20, 14, 19, 9],
    [19, 9, 14, 6],
  ],
  1: [[15, 5, 13, 23]],
  3: [
    [9, 6, 18, 6],
    [18, 6, 13, 12],
    [13, 12, 18, 15],
    [18, 15, 18, 19],
    [18, 19, 14, 22],
    [14, 22, 8, 21],
  ],
  4: [
    [10, 5, 8, 14],
    [8, 14, 19, 14],
    [18, 6, 17, 23],
  ],
  5: [
    [19, 6, 10, 6],
    [10, 6, 9, 13],
    [9, 13, 15, 12],
    [15, 12, 19, 16],
    [19, 16, 17, 21],
    [17, 21, 9, 22],
  ],
  7: [
    [8, 7, 19, 7],
    [19, 7, 13, 22],
  ],
};

/** float32 [1, 1, 28, 28], 0 for paper to 255 for ink, with soft edges. */
export function draw(strokes: readonly Stroke[]): Tensor<"float32"> {
  const field = new Float32Array(28 * 28);
  for (let y = 0; y < 28; y++) {
    for (let x = 0; x < 28; x++) {
      const distance = Math.min(...strokes.map((stroke) => distanceTo(stroke, x, y)));
      field[y * 28 + x] = 255 * Math.min(1, Math.max(0, 2.2 - distance));
    }
  }
  return tensor(field, { shape: [1, 1, 28, 28] });
}

function distanceTo([x1, y1, x2, y2]: Stroke, x: number, y: number): number {
  const [dx, dy] = [x2 - x1, y2 - y1];
  const along = ((x - x1) * dx + (y - y1) * dy) / (dx * dx + dy * dy);
  const nearest = Math.min(1, Math.max(0, along));
  return Math.hypot(x - x1 - nearest * dx, y - y1 - nearest * dy);
}
