/** Finds the lines of text in an image: the PP-OCR detector and its differentiable-binarization post-processing. */
import type { Model } from "tenon";
import type { Tensor } from "tenon/tensor";
import { outlinesAbove } from "./components.js";
import { type Image, resizeImage } from "./image.js";
import { toPlanes } from "./normalize.js";
import {
  corners,
  grow,
  type Point,
  quarterTurn,
  type Rectangle,
  smallestRectangle,
  toRectangle,
} from "./rectangle.js";

/** Pixels of the longer side that the detector sees at most, and the unit in which it takes both sides. */
const LONGEST_SIDE = 960;
const SIDE_UNIT = 32;
/** ImageNet's statistics, in the order in which PaddleOCR applies them to blue, green and red. */
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];
/** PP-OCRv4's settings: a pixel is text above 0.3, a box is kept when its pixels' mean is above 0.6. */
const PIXEL_THRESHOLD = 0.3;
const BOX_THRESHOLD = 0.6;
/** The detector marks a shrunk core of each line; it is grown back by area × ratio / perimeter. A ratio above the 1.5 of
    PP-OCR keeps the full stop at the end of a line inside. */
const UNCLIP_RATIO = 1.8;
/** In pixels of the image: smaller finds are specks. */
const SMALLEST_SIDE = 3;
/** A box this much taller than wide holds a line that runs downwards. */
const COLUMN_RATIO = 1.5;

/** The rectangle around each line of text, in pixels of the image, in no particular order. */
export async function detectText(detector: Model, image: Image): Promise<Rectangle[]> {
  const [height, width] = image.shape as readonly [number, number];
  const shrink = Math.min(1, LONGEST_SIDE / Math.max(height, width));
  const toUnit = (side: number): number => Math.max(1, Math.round((side * shrink) / SIDE_UNIT)) * SIDE_UNIT;
  const resized = await resizeImage(image, toUnit(height), toUnit(width));
  const input = detector.signature.inputs[0]!.name;
  const output = detector.signature.outputs[0]!.name;
  const outputs = await detector.run({ [input]: toPlanes(resized, MEAN, DEVIATION).unsqueeze(0) });
  // The detector's only output is its float32 [1, 1, height, width] map of probabilities.
  const map = outputs[output]!.select(0, 0).select(0, 0) as Tensor<"float32">;
  return rectanglesIn(map, { x: width / map.shape[1]!, y: height / map.shape[0]! });
}

/** `scale`: pixels of the image per pixel of the map, by axis. */
function rectanglesIn(map: Tensor<"float32">, scale: Point): Rectangle[] {
  return outlinesAbove(map, PIXEL_THRESHOLD).flatMap((outline) => {
    const core = smallestRectangle(outline.map(({ x, y }) => ({ x: x * scale.x, y: y * scale.y })));
    if (Math.min(core.width, core.height) < SMALLEST_SIDE) return [];
    if (meanInside(map, core, scale) < BOX_THRESHOLD) return [];
    const perimeter = 2 * (core.width + core.height);
    const line = grow(core, (core.width * core.height * UNCLIP_RATIO) / perimeter);
    return [line.height >= COLUMN_RATIO * line.width ? quarterTurn(line) : line];
  });
}

/** The mean probability of the map's pixels whose centres lie in the rectangle. */
function meanInside(map: Tensor<"float32">, rectangle: Rectangle, scale: Point): number {
  const values = map.data;
  const [height, width] = map.shape as readonly [number, number];
  const xs = corners(rectangle).map(({ x }) => x / scale.x);
  const ys = corners(rectangle).map(({ y }) => y / scale.y);
  const [left, right] = [Math.max(0, Math.floor(Math.min(...xs))), Math.min(width, Math.max(...xs))];
  const [top, bottom] = [Math.max(0, Math.floor(Math.min(...ys))), Math.min(height, Math.max(...ys))];
  let sum = 0;
  let count = 0;
  for (let y = top; y < bottom; y++) {
    for (let x = left; x < right; x++) {
      const own = toRectangle(rectangle, { x: (x + 0.5) * scale.x, y: (y + 0.5) * scale.y });
      if (Math.abs(own.x) > rectangle.width / 2 || Math.abs(own.y) > rectangle.height / 2) continue;
      sum += values[y * width + x]!;
      count++;
    }
  }
  return count === 0 ? 0 : sum / count;
}
