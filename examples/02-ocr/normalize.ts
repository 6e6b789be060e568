/** From an image to a network's input: blue, green, red planes (the order of PP-OCR's training), shifted and scaled. */
import { cast, standardize, type Tensor } from "tenon/tensor";

/**
 * float32 [3, height, width] from [height, width, 3] of 0…255 in RGB order: each plane becomes
 * (value / 255 - mean) / deviation, with `mean` and `deviation` in the order blue, green, red.
 */
export function toPlanes(
  image: Tensor<"uint8"> | Tensor<"float32">,
  mean: readonly number[],
  deviation: readonly number[],
): Tensor<"float32"> {
  const planes = cast(image.slice(null, null, [null, null, -1]).transpose(2, 0, 1), "float32");
  const inBytes = (share: number): number => 255 * share;
  return standardize(planes, { axis: 0, mean: mean.map(inBytes), std: deviation.map(inBytes) });
}
