/** Images as a model of images takes them, by its preprocessor_config.json. */
import { TenonError } from "../../base/index.js";
import { incomplete } from "../card/card.js";
import { countAt, type Fields, flagAt, invalidFile, isFields, readFields } from "../card/files.js";
import { FILTERS, type Pixels, resize } from "./resize.js";

const FILE = "preprocessor_config.json";

interface Size {
  readonly height: number;
  readonly width: number;
}

export interface ImageRules {
  /** Undefined: images stay as large as they are. */
  readonly resize: ({ readonly shortest: number } | Size) | undefined;
  /** As Pillow numbers its filters. */
  readonly resample: number;
  readonly crop: Size | undefined;
  /** What a byte is multiplied by; undefined: nothing. */
  readonly factor: number | undefined;
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
  /** Size of what comes out. */
  readonly size: Size;
}

/** Larger images are no input of a model. */
const MOST = 8192;

/** Reads the file. Throws MODEL_INCOMPLETE, FILE_INVALID, MODEL_UNSUPPORTED. */
export function readImageRules(folder: string): ImageRules {
  const fields = readFields(folder, FILE);
  if (fields === undefined) throw incomplete(folder, [FILE]);
  const on = (key: string, usual: boolean): boolean => flagAt(fields, key, FILE) ?? usual;
  const kind = String(fields.image_processor_type ?? fields.feature_extractor_type ?? "CLIP");
  const isClip = /^CLIP/.test(kind);
  if (!isClip && !/^(Siglip|ViT)/.test(kind)) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: `${FILE} names a processor that is not known`,
      given: kind.slice(0, 80),
      expected: "CLIPImageProcessor, SiglipImageProcessor or ViTImageProcessor",
    });
  }
  const resample = fields.resample ?? (isClip || /^Siglip/.test(kind) ? 3 : 2);
  if (typeof resample !== "number" || FILTERS[resample] === undefined) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: `${FILE} names a filter that is not known`,
      given: String(resample).slice(0, 40),
      expected: `resample ${Object.keys(FILTERS).join(", ")}`,
    });
  }
  const sized = on("do_resize", true) ? resizeOf(fields.size ?? 224, isClip) : undefined;
  const crop = on("do_center_crop", isClip) ? sizeOf(fields.crop_size ?? 224, "crop_size") : undefined;
  const size = crop ?? (sized !== undefined && "height" in sized ? sized : undefined);
  if (size === undefined) throw invalidFile(FILE, "images of any size", "a size, or a crop");
  const normalizes = on("do_normalize", true);
  const factor = fields.rescale_factor ?? 1 / 255;
  if (typeof factor !== "number" || !Number.isFinite(factor))
    throw invalidFile(FILE, `rescale_factor ${String(factor)}`);
  return {
    resize: sized,
    resample,
    crop,
    factor: on("do_rescale", true) ? factor : undefined,
    mean: normalizes ? threeOf(fields, "image_mean") : [0, 0, 0],
    deviation: normalizes ? threeOf(fields, "image_std") : [1, 1, 1],
    size,
  };
}

function resizeOf(size: unknown, isClip: boolean): NonNullable<ImageRules["resize"]> {
  if (isFields(size) && "shortest_edge" in size) {
    if (size.longest_edge !== undefined && size.longest_edge !== null)
      throw invalidFile(FILE, '"size" with a longest_edge');
    return { shortest: edgeOf(size, "shortest_edge") };
  }
  if (typeof size === "number" && isClip) return { shortest: edgeOf({ size }, "size") };
  return sizeOf(size, "size");
}

function sizeOf(size: unknown, key: string): Size {
  if (typeof size === "number") return { height: edgeOf({ [key]: size }, key), width: size };
  if (isFields(size) && "height" in size)
    return { height: edgeOf(size, "height"), width: edgeOf(size, "width") };
  throw invalidFile(FILE, `"${key}": ${JSON.stringify(size)?.slice(0, 80)}`, "height and width");
}

function edgeOf(fields: Fields, key: string): number {
  const edge = countAt(fields, key, FILE);
  if (edge !== undefined && edge <= MOST) return edge;
  throw invalidFile(FILE, `"${key}": ${String(edge)}`, `1 to ${MOST}`);
}

function threeOf(fields: Fields, key: string): readonly number[] {
  const given = fields[key];
  const isThree =
    Array.isArray(given) && given.length === 3 && given.every((value) => Number.isFinite(value));
  if (isThree && (key === "image_mean" || !given.includes(0))) return given as number[];
  throw invalidFile(FILE, `"${key}": ${JSON.stringify(given)?.slice(0, 80)}`, "three numbers");
}

/** More pixels than this in a resized image are refused: one that is a line grows by its shorter edge. */
const MOST_RESIZED = 100_000_000;

/** Writes one image as [3, height, width]. Throws USAGE for one that is too long for its width. */
export function preprocess(pixels: Pixels, rules: ImageRules, out: Float32Array): void {
  const { height, width } = resizedTo(pixels, rules);
  if (!(height * width <= MOST_RESIZED)) {
    throw new TenonError("USAGE", {
      problem: "the image is too long for its width",
      given: `${pixels.width} × ${pixels.height}, resized to ${width} × ${height}`,
      expected: `at most ${MOST_RESIZED} pixels`,
      do: "cut the image",
    });
  }
  const resized = resize(pixels, width, height, rules.resample);
  const size = rules.size;
  // Where the middle of the image begins; an image that is smaller stands in the middle of zeros.
  const top = offset(resized.height, size.height);
  const left = offset(resized.width, size.width);
  const plane = size.height * size.width;
  const factor = rules.factor ?? 1;
  for (let y = 0; y < size.height; y++) {
    for (let x = 0; x < size.width; x++) {
      const [row, column] = [y + top, x + left];
      const isInside = row >= 0 && row < resized.height && column >= 0 && column < resized.width;
      const at = (row * resized.width + column) * 3;
      for (let channel = 0; channel < 3; channel++) {
        const value = isInside ? resized.data[at + channel]! * factor : 0;
        out[channel * plane + y * size.width + x] =
          (value - rules.mean[channel]!) / rules.deviation[channel]!;
      }
    }
  }
}

function offset(have: number, want: number): number {
  return have >= want ? Math.floor((have - want) / 2) : -Math.ceil((want - have) / 2);
}

function resizedTo({ width, height }: Pixels, { resize: sized }: ImageRules): Size {
  if (sized === undefined) return { width, height };
  if ("height" in sized) return sized;
  const { shortest } = sized;
  if (width <= height) return { width: shortest, height: Math.trunc((shortest * height) / width) };
  return { width: Math.trunc((shortest * width) / height), height: shortest };
}
