/** Cuts a rotated rectangle out of an image and levels it: one affine warp with bilinear sampling. */
import { type Tensor, tensorFromStorage } from "tenon/tensor";
import type { Image } from "./image.js";
import { corners, type Rectangle } from "./rectangle.js";

/**
 * The rectangle's content as float32 [height, width, 3] in 0…255, scaled to `height` with the sides' ratio kept.
 * Where the image is shrunk, each pixel is the mean of several samples, so that thin strokes survive; what lies outside
 * the image repeats its border.
 */
export function cropLevel(image: Image, rectangle: Rectangle, height: number): Tensor<"float32"> {
  const width = Math.max(1, Math.round((rectangle.width / rectangle.height) * height));
  const perPixel = Math.max(1, Math.ceil(rectangle.height / height));
  const [origin, rightEnd, , lowerEnd] = corners(rectangle);
  const columns = width * perPixel;
  const rows = height * perPixel;
  const across = { x: (rightEnd.x - origin.x) / columns, y: (rightEnd.y - origin.y) / columns };
  const down = { x: (lowerEnd.x - origin.x) / rows, y: (lowerEnd.y - origin.y) / rows };
  const weight = 1 / perPixel ** 2;
  const crop = new Float32Array(height * width * 3);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const x = origin.x + (column + 0.5) * across.x + (row + 0.5) * down.x - 0.5;
      const y = origin.y + (column + 0.5) * across.y + (row + 0.5) * down.y - 0.5;
      const target = (Math.floor(row / perPixel) * width + Math.floor(column / perPixel)) * 3;
      addSample(image, x, y, weight, crop, target);
    }
  }
  return tensorFromStorage("float32", [height, width, 3], crop);
}

/** Adds the image's colour at (x, y), pixel centres being at integers, times `weight` to three entries of `into`. */
function addSample(image: Image, x: number, y: number, weight: number, into: Float32Array, at: number): void {
  const [imageHeight, imageWidth] = image.shape as readonly [number, number];
  const pixels = image.data;
  const clampedX = Math.min(Math.max(x, 0), imageWidth - 1);
  const clampedY = Math.min(Math.max(y, 0), imageHeight - 1);
  const left = Math.floor(clampedX);
  const top = Math.floor(clampedY);
  const rightShare = clampedX - left;
  const lowerShare = clampedY - top;
  const upperLeft = (top * imageWidth + left) * 3;
  const toRight = left + 1 < imageWidth ? 3 : 0;
  const toLower = top + 1 < imageHeight ? imageWidth * 3 : 0;
  for (let channel = 0; channel < 3; channel++) {
    const corner = upperLeft + channel;
    const upper = pixels[corner]! * (1 - rightShare) + pixels[corner + toRight]! * rightShare;
    const lower =
      pixels[corner + toLower]! * (1 - rightShare) + pixels[corner + toLower + toRight]! * rightShare;
    into[at + channel]! += weight * (upper * (1 - lowerShare) + lower * lowerShare);
  }
}
