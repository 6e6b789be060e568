/** Reads levelled lines of text: the PP-OCR recogniser, lines of equal width batched. */
import type { Model } from "tenon";
import { pad, stack, type Tensor } from "tenon/tensor";
import { type Alphabet, decodeGreedily, type Reading } from "./alphabet.js";
import { toPlanes } from "./normalize.js";

/** The recogniser's fixed height in pixels. */
export const LINE_HEIGHT = 48;
/** Widths are filled up to a multiple of this, so that lines of similar length share a batch. */
const WIDTH_UNIT = 64;
const LARGEST_BATCH = 8;
/** Maps 0…255 to -1…1 in each channel; the grey in the middle, 0, fills a line up. */
const HALF = [0.5, 0.5, 0.5];
const NONE = [0, 0] as const;

/** What each line says. `lines`: float32 [48, width, 3] in 0…255, RGB; the readings come in the same order. */
export async function readLines(
  recognizer: Model,
  alphabet: Alphabet,
  lines: readonly Tensor<"float32">[],
): Promise<Reading[]> {
  const readings = new Array<Reading>(lines.length);
  await Promise.all(
    batchesByWidth(lines).map(async ({ width, members }) => {
      const input = recognizer.signature.inputs[0]!.name;
      const output = recognizer.signature.outputs[0]!.name;
      const planes = members.map((member) => toPlanes(lines[member]!, HALF, HALF));
      const filled = planes.map((line) => pad(line, [NONE, NONE, [0, width - line.shape[2]!]]));
      const outputs = await recognizer.run({ [input]: stack(filled) });
      // The recogniser's only output is float32 [lines, steps, classes].
      const probabilities = outputs[output] as Tensor<"float32">;
      members.forEach((member, row) => {
        readings[member] = decodeGreedily(probabilities.select(0, row), alphabet);
      });
    }),
  );
  return readings;
}

/** Indices of lines, sorted by width and cut where the filled width changes or the batch is full. */
function batchesByWidth(lines: readonly Tensor[]): { width: number; members: number[] }[] {
  const filled = lines.map((line) => Math.ceil(line.shape[1]! / WIDTH_UNIT) * WIDTH_UNIT);
  const order = lines.map((_, index) => index).sort((a, b) => filled[a]! - filled[b]!);
  const batches: { width: number; members: number[] }[] = [];
  for (const index of order) {
    const width = filled[index]!;
    const open = batches.at(-1);
    if (open?.width === width && open.members.length < LARGEST_BATCH) open.members.push(index);
    else batches.push({ width, members: [index] });
  }
  return batches;
}
