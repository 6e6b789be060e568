/** What a quantised model loses, measured on texts of many kinds when it is loaded. */
import { TenonError } from "../base/index.js";
import { cosine } from "./cosine.js";
import type { EmbedMatrix } from "./matrix.js";

/** Cosines between the vectors of the model and those of the quantised one. */
export interface Accuracy {
  readonly mean: number;
  readonly least: number;
  readonly texts: number;
}

/** Short and long, of several scripts and subjects. */
export const SAMPLE_TEXTS: readonly string[] = [
  "a panda eats bamboo",
  "What is the capital of France?",
  "The treaty was signed in 1648 and ended thirty years of war.",
  "def add(a, b):\n    return a + b",
  "Order #4711 shipped on 2024-03-01, total EUR 1,299.95.",
  "La bibliothèque ferme à dix-huit heures.",
  "Das Fenster lässt sich nicht öffnen, weil der Griff klemmt.",
  "こんにちは、世界",
  "Photosynthesis turns light, water and carbon dioxide into sugar and oxygen; it feeds almost all life on land.",
  "The patient presented with fever, a dry cough and shortness of breath lasting four days, without travel abroad.",
  "Interest rates rose by a quarter of a point, and shares of banks gained while those of builders fell sharply.",
  "To reset the router, hold the button at its back for ten seconds until the light blinks, then wait two minutes.",
  "She had not seen the sea before, and now that it lay in front of her she found that she had nothing to say about it.",
  "Vectors that lie near each other stand for texts that mean nearly the same; distance is a measure of difference.",
  "ERROR 2024-05-06T07:08:09Z worker-3 connection reset by peer (attempt 5 of 5), giving up",
  "Whisk the eggs with the sugar until pale, fold in the flour, and bake for twenty-five minutes at 180 degrees.",
];

/** Below this mean the quantised model is another model. */
const LEAST_MEAN = 0.98;

/** Throws GOLDEN_MISMATCH when the quantised vectors are far from the model's own. */
export function accuracyOf(whole: EmbedMatrix, quantised: EmbedMatrix): Accuracy {
  const cosines = Array.from({ length: whole.rows }, (_, row) => cosine(whole.row(row), quantised.row(row)));
  const accuracy = {
    mean: cosines.reduce((sum, value) => sum + value, 0) / cosines.length,
    least: Math.min(...cosines),
    texts: whole.rows,
  };
  if (accuracy.mean >= LEAST_MEAN) return accuracy;
  throw new TenonError("GOLDEN_MISMATCH", {
    problem: "the quantised model gives other vectors than the model itself",
    given: `a mean cosine of ${accuracy.mean.toFixed(4)} on ${accuracy.texts} texts`,
    expected: `at least ${LEAST_MEAN}`,
    do: 'use { quant: "none" }',
  });
}
