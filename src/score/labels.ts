/** Names of the likeliest classes, where the model knows its classes by name. */
import { type Element, StringStorage, type Tensor, tensorFromStorage } from "../tensor/index.js";

/** The label of the greatest score of each row (the first of equal ones); scores are `[rows, labels]`. */
export function labelsOf(scores: Tensor, labels: readonly string[]): Tensor {
  const rows = scores.shape[0]!;
  const names = (scores.reshape([rows, labels.length]).toArray() as Element[][]).map((row) => {
    let best = 0;
    for (let i = 1; i < row.length; i++) if (row[i]! > row[best]!) best = i;
    return labels[best]!;
  });
  return tensorFromStorage("string", [rows], StringStorage.fromStrings(names)) as Tensor;
}
