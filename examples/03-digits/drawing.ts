/** A digit drawn as a PNG, and pictures of digits as the network was taught to see them. */
import sharp from "sharp";
import { type Tensor, tensorFromStorage } from "tenon/tensor";
import { SIDE } from "./digits.js";

/** The strokes of each digit in a square of 100 × 140. */
const STROKES: readonly string[] = [
  "M50 10 C10 10 10 130 50 130 C90 130 90 10 50 10 Z",
  "M30 35 L55 10 L55 130",
  "M15 40 C15 0 85 0 85 42 C85 75 20 105 15 130 L88 130",
  "M18 22 C45 0 85 10 80 40 C78 62 55 66 42 66 C65 66 88 75 86 100 C82 140 30 138 14 114",
  "M62 130 L62 12 L12 92 L90 92",
  "M82 12 L28 12 L22 62 C50 48 88 58 86 92 C84 135 32 138 14 116",
  "M72 12 C30 30 14 75 18 100 C24 138 84 138 84 98 C84 62 28 62 18 98",
  "M14 14 L86 14 C66 50 48 90 42 130",
  "M50 66 C18 58 18 10 50 10 C82 10 82 58 50 66 C12 76 12 130 50 130 C88 130 88 76 50 66 Z",
  "M82 44 C80 2 18 2 18 42 C18 80 80 78 82 42 C84 80 78 110 62 130",
];

/** A picture of a digit, dark strokes on white, as a PNG. */
export function drawDigit(digit: number): Promise<Buffer> {
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="200" height="240" viewBox="-50 -50 200 240">
    <rect x="-50" y="-50" width="200" height="240" fill="white"/>
    <path d="${STROKES[digit]}" fill="none" stroke="#203040" stroke-width="13" stroke-linecap="round" stroke-linejoin="round"/>
  </svg>`;
  return sharp(Buffer.from(svg)).png().toBuffer();
}

/** Ink below this much of the darkest is paper. */
const THRESHOLD = 0.15;
/** The ink of the digits that the network knows fits into a box of this side, around the centre of its mass. */
const BOX = 20;

/** A picture (any file that sharp reads, dark on light) as float32 [1, 1, 28, 28]. */
export async function readDigit(picture: Buffer | string): Promise<Tensor> {
  const grey = sharp(picture).flatten({ background: "#ffffff" }).greyscale().negate();
  const { data, info } = await grey.raw().toBuffer({ resolveWithObject: true });
  const box = inkBox(data, info.width, info.height);
  const scale = BOX / Math.max(box.width, box.height);
  const [width, height] = [box.width, box.height].map((size) => Math.max(1, Math.round(size * scale))) as [
    number,
    number,
  ];
  const raw = { width: info.width, height: info.height, channels: info.channels };
  const small = await sharp(data, { raw })
    .extract(box)
    .resize(width, height, { fit: "fill" })
    .greyscale()
    .raw()
    .toBuffer();
  return centred(small, width, height);
}

interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

function inkBox(data: Buffer, width: number, height: number): Box {
  const channels = data.length / (width * height);
  let [left, top, right, bottom] = [width, height, 0, 0];
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++) {
      if (data[(y * width + x) * channels]! < THRESHOLD * 255) continue;
      left = Math.min(left, x);
      right = Math.max(right, x + 1);
      top = Math.min(top, y);
      bottom = Math.max(bottom, y + 1);
    }
  return right === 0
    ? { left: 0, top: 0, width, height }
    : { left, top, width: right - left, height: bottom - top };
}

/** The small picture in a square of 28, its centre of mass in the middle. */
function centred(small: Buffer, width: number, height: number): Tensor {
  const channels = small.length / (width * height);
  const ink = Float32Array.from({ length: width * height }, (_, i) => small[i * channels]! / 255);
  const total = ink.reduce((sum, value) => sum + value, 1e-6);
  const mean = (of: (i: number) => number): number =>
    ink.reduce((sum, value, i) => sum + value * of(i), 0) / total;
  const place = (centre: number, size: number): number =>
    Math.min(SIDE - size, Math.max(0, Math.round(SIDE / 2 - centre - 0.5)));
  const left = place(
    mean((i) => i % width),
    width,
  );
  const top = place(
    mean((i) => Math.floor(i / width)),
    height,
  );
  const square = new Float32Array(SIDE * SIDE);
  ink.forEach((value, i) => {
    square[(top + Math.floor(i / width)) * SIDE + left + (i % width)] = value;
  });
  return tensorFromStorage("float32", [1, 1, SIDE, SIDE], square);
}
