/** Texts as the inputs of a training step: tokens padded to a few lengths, since each length is compiled once. */
import type { Tensor } from "../../tensor/index.js";
import type { TokenInput } from "../graph/names.js";
import { encoderInputs } from "../schedule/encoder-run.js";
import type { Tokens } from "../text.js";

const LENGTHS = [8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512];

/** What a graph takes, and how texts become it. */
export interface TextInputs {
  readonly inputs: readonly TokenInput[];
  readonly poolingMask: boolean;
  readonly padId: number;
  readonly maxTokens: number;
}

/** The inputs of one batch, a row a text. */
export function paddedBatch(texts: readonly Tokens[], given: TextInputs): Record<string, Tensor> {
  const longest = texts.reduce((most, { ids }) => Math.max(most, ids.length), 1);
  const length = LENGTHS.find((each) => each >= longest) ?? Math.ceil(longest / 256) * 256;
  return encoderInputs(texts, Math.max(longest, Math.min(length, given.maxTokens)), given);
}

/**
 * Rows of a table in batches, in an order, so that no batch has two rows that share a text as long as there are others;
 * what is left over is a batch of its own only where it is the only one.
 */
export function distinctBatches<R>(
  rows: readonly R[],
  order: Uint32Array,
  size: number,
  textsOf: (row: R) => readonly string[],
): R[][] {
  const count = Math.max(1, Math.floor(rows.length / size));
  let waiting = [...order];
  const batches: R[][] = [];
  for (let at = 0; at < count; at++) {
    const used = new Set<string>();
    const batch: R[] = [];
    const left: number[] = [];
    const doubled: number[] = [];
    for (const [i, index] of waiting.entries()) {
      if (batch.length === size) {
        left.push(...waiting.slice(i));
        break;
      }
      const texts = textsOf(rows[index]!);
      if (texts.some((text) => used.has(text))) {
        doubled.push(index);
        continue;
      }
      for (const text of texts) used.add(text);
      batch.push(rows[index]!);
    }
    const missing = doubled.splice(0, Math.max(0, Math.min(size, rows.length) - batch.length));
    batch.push(...missing.map((index) => rows[index]!));
    batches.push(batch);
    waiting = [...doubled, ...left];
  }
  return batches;
}
