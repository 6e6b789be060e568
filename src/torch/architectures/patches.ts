/** Images as sequences: patches by a convolution, a class vector before them, learned positions. */
import { BATCH } from "./architecture.js";
import type { Config } from "./config.js";
import type { Network } from "./network.js";

interface Grid {
  readonly channels: number;
  readonly image: readonly [height: number, width: number];
  readonly patch: readonly [height: number, width: number];
  /** Patches and the class vector. */
  readonly length: number;
}

export function gridOf(config: Config, patchSize: number): Grid {
  const image = pair(config, "image_size", 224);
  const patch = pair(config, "patch_size", patchSize);
  const length = Math.floor(image[0] / patch[0]) * Math.floor(image[1] / patch[1]) + 1;
  return { channels: config.size("num_channels", 3), image, patch, length };
}

/** One number for both sides, or two. */
function pair(config: Config, key: string, fallback: number): readonly [number, number] {
  const value = config.get(key);
  if (!Array.isArray(value)) {
    const side = config.size(key, fallback);
    return [side, side];
  }
  const [height, width] = value;
  if (value.length === 2 && [height, width].every((side) => Number.isInteger(side) && (side as number) > 0))
    return [height as number, width as number];
  throw config.wrong(key, "a size, or a list of two");
}

/** `pixel_values` as an input of the graph. */
export function pixels(net: Network, { channels, image }: Grid, batch = BATCH): string {
  return net.g.input("pixel_values", net.dtype, [batch, channels, ...image]);
}

/** [batch, length - 1, size]: the patches alone. */
export function tiles(
  net: Network,
  x: string,
  grid: Grid,
  size: number,
  convolution: string,
  bias: boolean,
): string {
  const weights = [net.weight(`${convolution}.weight`, [size, grid.channels, ...grid.patch])];
  if (bias) weights.push(net.weight(`${convolution}.bias`, [size]));
  const made = net.g.add("Conv", [x, ...weights], {
    kernel_shape: [...grid.patch],
    strides: [...grid.patch],
  });
  return net.transpose(net.reshape(made, 0, 0, -1), 0, 2, 1);
}

/** [batch, length, size]: the class vector [1, 1, size], then the patches. */
export function patches(
  net: Network,
  x: string,
  grid: Grid,
  size: number,
  convolution: string,
  bias: boolean,
  classVector: string,
): string {
  const sequence = tiles(net, x, grid, size, convolution, bias);
  const batch = net.g.add("Shape", [x], { start: 0, end: 1 });
  const shape = net.g.add("Concat", [batch, net.ints(1, 1)], { axis: 0 });
  const first = net.g.add("Expand", [classVector, shape]);
  return net.g.add("Concat", [first, sequence], { axis: 1 });
}
