/** Rows of tensors as JSON texts. */
import type { Element, Tensor } from "../../tensor/index.js";
import type { OutputColumn } from "../scorer.js";

/** The text of each row: one value of a scalar column, else a flat list of the row's elements. */
export function rowTexts(tensor: Tensor, { list }: OutputColumn): string[] {
  const rows = tensor.shape[0]!;
  const elements = tensor.reshape([-1]).toArray() as Element[];
  const width = rows === 0 ? 0 : elements.length / rows;
  const short = tensor.dtype === "float32";
  return Array.from({ length: rows }, (_, row) => {
    if (list === null) return elementText(elements[row]!, short);
    const texts = [];
    for (let i = row * width; i < (row + 1) * width; i++) texts.push(elementText(elements[i]!, short));
    return `[${texts.join(",")}]`;
  });
}

/** Floats that JSON has no number for are the texts "NaN", "Infinity" and "-Infinity". */
function elementText(element: Element, short: boolean): string {
  if (typeof element === "bigint") return String(element);
  if (typeof element !== "number") return JSON.stringify(element);
  if (Number.isInteger(element)) return Object.is(element, -0) ? "-0" : String(element);
  if (!Number.isFinite(element)) return `"${element}"`;
  return short ? shortest(element) : String(element);
}

/** The shortest decimal that reads back as the same float32. */
function shortest(value: number): string {
  for (let digits = 6; digits < 9; digits++) {
    const text = Number(value.toPrecision(digits));
    if (Math.fround(text) === value) return String(text);
  }
  return String(value);
}
