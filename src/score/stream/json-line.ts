/** A line of JSON as its fields: the value of each, and its text as it was written, which no number loses a digit of. */
import { TenonError } from "../../base/index.js";

export interface JsonLine {
  readonly values: Readonly<Record<string, unknown>>;
  /** The text of a field's value; of a name that stands twice, the last one. */
  readonly texts: ReadonlyMap<string, string>;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

/** Throws INPUT_VALUE for what is no JSON object in UTF-8. */
export function readLine(bytes: Uint8Array): JsonLine {
  let text: string;
  let values: unknown;
  try {
    text = decoder.decode(bytes);
    values = JSON.parse(text);
  } catch (cause) {
    throw new TenonError("INPUT_VALUE", { problem: "the line is no JSON", given: sample(bytes), cause });
  }
  if (typeof values !== "object" || values === null || Array.isArray(values))
    throw new TenonError("INPUT_VALUE", {
      problem: "the line is no JSON object",
      given: sample(bytes),
      expected: "names and values in braces",
    });
  return { values: values as Readonly<Record<string, unknown>>, texts: fieldTexts(text) };
}

function sample(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, 80)).toString();
}

/** Texts of the fields of an object that `JSON.parse` took. */
function fieldTexts(text: string): Map<string, string> {
  const texts = new Map<string, string>();
  let at = text.indexOf("{") + 1;
  for (;;) {
    const open = text.indexOf('"', at);
    if (open < 0 || text.slice(at, open).includes("}")) return texts;
    const close = stringEnd(text, open);
    const start = text.indexOf(":", close) + 1;
    const end = valueEnd(text, start);
    texts.set(JSON.parse(text.slice(open, close)) as string, text.slice(start, end).trim());
    if (text[end] === "}") return texts;
    at = end + 1;
  }
}

/** Behind the quote that ends the string which begins at `open`. */
function stringEnd(text: string, open: number): number {
  for (let i = open + 1; ; i++) {
    const code = text.charCodeAt(i);
    if (code === 92 /* \ */) i++;
    else if (code === 34 /* " */) return i + 1;
  }
}

/** The comma or brace that ends the value which begins at `start`. */
function valueEnd(text: string, start: number): number {
  let depth = 0;
  for (let i = start; ; i++) {
    const code = text.charCodeAt(i);
    if (code === 34) i = stringEnd(text, i) - 1;
    else if (code === 123 || code === 91) depth++;
    else if (code === 125 || code === 93) {
      if (depth === 0) return i;
      depth--;
    } else if (code === 44 && depth === 0) return i;
  }
}
