/** From an image to a network's input: blue, green, red planes (the order of PP-OCR's training), shifted and scaled. */
import { type Tensor, tensorFromStorage } from "tenon/tensor";

/**
 * float32 [3, height, width] from [height, width, 3] of 0…255 in RGB order: each plane becomes
 * (value / 255 - mean) / deviation, with `mean` and `deviation` in the order blue, green, red.
 */
export function toPlanes(
  image: Tensor<"uint8"> | Tensor<"float32">,
  mean: readonly number[],
  deviation: readonly number[],
): Tensor<"float32"> {
  const [height, width] = image.shape as readonly [number, number];
  const pixels = image.data;
  const planes = new Float32Array(3 * height * width);
  let next = 0;
  for (let plane = 0; plane < 3; plane++) {
    const scale = 1 / (255 * deviation[plane]!);
    const shift = mean[plane]! / deviation[plane]!;
    for (let pixel = 2 - plane; pixel < pixels.length; pixel += 3) {
      planes[next++] = pixels[pixel]! * scale - shift;
    }
  }
  return tensorFromStorage("float32", [3, height, width], planes);
}
