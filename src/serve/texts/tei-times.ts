/** The headers in which the dialect of text-embeddings-inference tells times. */
import type { TextTimes } from "./model.js";

/** Times of a text, the mean of a request's; what was not measured has no header. */
export function timeHeaders({ texts, tokenizeMs, queueMs, runMs }: TextTimes): string[] {
  const sums = { "x-tokenization-time": tokenizeMs, "x-queue-time": queueMs, "x-inference-time": runMs };
  return Object.entries(sums).flatMap(([name, sum]) =>
    sum === undefined || texts === 0 ? [] : [name, wholeMs(sum / texts)],
  );
}

/** Whole milliseconds. */
export function wholeMs(ms: number): string {
  return String(Math.floor(ms));
}
