/**
 * Makes request.json: an inference request with a piece of the page of example 02 (the height "6.15"), prepared as the
 * detection model wants it. Usage: node build/examples/01-serve/make-request.js
 */
import { writeFileSync } from "node:fs";
import { resolve } from "node:path";
import sharp from "sharp";

const WIDTH = 64;
const HEIGHT = 32;
/** Where the piece lies on the page. */
const LEFT = 512;
const TOP = 347;
/** The mean and deviation of PP-OCR's training images, in the order blue, green, red. */
const MEAN = [0.485, 0.456, 0.406];
const DEVIATION = [0.229, 0.224, 0.225];

const folder = resolve(import.meta.dirname, "../../../examples");
const grey = await sharp(resolve(folder, "02-ocr/page.png"))
  .extract({ left: LEFT, top: TOP, width: WIDTH, height: HEIGHT })
  .toColourspace("b-w")
  .raw()
  .toBuffer();
// Two decimals: less than the noise of the page, and half the bytes.
const planes = MEAN.flatMap((mean, plane) =>
  Array.from(grey, (value) => Number(((value / 255 - mean) / DEVIATION[plane]!).toFixed(2))),
);
const request = {
  inputs: [{ name: "x", datatype: "FP32", shape: [1, 3, HEIGHT, WIDTH], data: planes }],
};
writeFileSync(resolve(folder, "01-serve/request.json"), `${JSON.stringify(request)}\n`);
