/** Images as tensors: decoded and resized by sharp, uint8 [height, width, 3] in RGB order. */
import sharp, { type Sharp } from "sharp";
import { type Tensor, tensorFromStorage } from "tenon/tensor";

/** uint8 [height, width, 3], RGB. */
export type Image = Tensor<"uint8">;

/** Decodes any file that sharp reads (PNG, JPEG, WebP, TIFF, …), turned upright by its EXIF data, without transparency. */
export async function loadImage(file: string): Promise<Image> {
  const upright = sharp(file).autoOrient().flatten({ background: "#ffffff" });
  return decode(upright);
}

/** The same picture in another size; the sides' ratio may change. */
export async function resizeImage(image: Image, height: number, width: number): Promise<Image> {
  const raw = { height: image.shape[0]!, width: image.shape[1]!, channels: 3 } as const;
  return decode(sharp(image.contiguous().data, { raw }).resize(width, height, { fit: "fill" }));
}

async function decode(picture: Sharp): Promise<Image> {
  const { data, info } = await picture
    .toColourspace("srgb")
    .raw({ depth: "uchar" })
    .toBuffer({ resolveWithObject: true });
  return tensorFromStorage("uint8", [info.height, info.width, info.channels], new Uint8Array(data));
}
