/** Images as pixels: raw ones as they are, files and their bytes by the optional package sharp. */
import { TenonError } from "../../base/index.js";
import type { Pixels } from "./resize.js";

/** A path, the bytes of a file, or pixels of three bytes (red, green, blue), row by row. */
export type ImageInput = string | Uint8Array | Pixels;

/** More pixels than this in one image are refused. */
const MOST_PIXELS = 100_000_000;

/** Throws USAGE, FILE_INVALID, DEPENDENCY_MISSING; `name` tells the image in errors. */
export async function decodeImage(image: ImageInput, name: string): Promise<Pixels> {
  if (typeof image === "object" && image !== null && "width" in image) return checked(image, name);
  if (typeof image !== "string" && !(image instanceof Uint8Array)) {
    throw new TenonError("USAGE", {
      problem: `${name} is no image`,
      given: image === null ? "null" : typeof image,
      expected: "a path, bytes, or { data, width, height }",
    });
  }
  const { default: sharp } = await loadSharp();
  try {
    const { data, info } = await sharp(image, { limitInputPixels: MOST_PIXELS })
      .removeAlpha()
      .toColourspace("srgb")
      .raw()
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3) throw new Error(`${info.channels} channels`);
    return { data, width: info.width, height: info.height };
  } catch (cause) {
    throw new TenonError("FILE_INVALID", {
      problem: `${name} cannot be read as an image`,
      given: typeof image === "string" ? image : `${image.length} bytes`,
      cause,
    });
  }
}

function checked(pixels: Pixels, name: string): Pixels {
  const { data, width, height } = pixels;
  const isSize = (value: number): boolean => Number.isInteger(value) && value >= 1;
  if (isSize(width) && isSize(height) && width * height <= MOST_PIXELS && data.length === width * height * 3)
    return pixels;
  throw new TenonError("USAGE", {
    problem: `${name} has other pixels than its size says`,
    given: `${data.length} bytes for ${width} × ${height}`,
    expected: "three bytes a pixel",
  });
}

async function loadSharp(): Promise<typeof import("sharp")> {
  try {
    return await import("sharp");
  } catch (cause) {
    throw new TenonError("DEPENDENCY_MISSING", {
      problem: "images are read by the package sharp, which is not installed",
      do: "npm install sharp, or give pixels: { data, width, height }",
      cause,
    });
  }
}
