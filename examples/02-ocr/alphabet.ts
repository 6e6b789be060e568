/** Greedy decoding of connectionist temporal classification (Graves et al. 2006) with PP-OCR's dictionary. */
import { readFile } from "node:fs/promises";
import { argmax, max, type Tensor } from "tenon/tensor";

/** What each class of the recogniser stands for; class 0 is the blank. */
export type Alphabet = readonly string[];

/** A line of text and the mean probability of its characters, 0 when it has none. */
export interface Reading {
  readonly text: string;
  readonly confidence: number;
}

const BLANK = 0;

/** The dictionary holds one character a line; PP-OCR puts the blank before them and the space behind. */
export async function loadAlphabet(file: string): Promise<Alphabet> {
  const characters = (await readFile(file, "utf8")).replace(/\r?\n$/, "").split(/\r?\n/);
  return ["", ...characters, " "];
}

/** The likeliest class of every step of a float32 [steps, classes] tensor, repeats merged, blanks dropped. */
export function decodeGreedily(probabilities: Tensor<"float32">, alphabet: Alphabet): Reading {
  const classes = Array.from(argmax(probabilities, { axis: 1 }).data, Number);
  const chances = max(probabilities, { axis: 1 }).data;
  let text = "";
  let sum = 0;
  let count = 0;
  classes.forEach((best, step) => {
    if (best === BLANK || best === classes[step - 1]) return;
    text += alphabet[best] ?? "";
    sum += chances[step]!;
    count++;
  });
  return { text: text.trim(), confidence: count === 0 ? 0 : sum / count };
}
