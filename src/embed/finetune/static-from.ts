/** staticFrom: a static model whose vectors of tokens are those that a teacher gives the tokens alone. */
import { readFileSync } from "node:fs";
import { TenonError } from "../../base/index.js";
import { cast, type Tensor, tensorFromStorage } from "../../tensor/index.js";
import { tokenizerFile } from "../card/card.js";
import type { Embedder } from "../embedder.js";

/** Tokens that are embedded at once. */
const AT_ONCE = 4096;

/**
 * Writes the folder of a static model with the teacher's tokenizer: each token's vector is the teacher's of that token
 * alone. It is a start: `trainableEmbedder(folder)` trains it further, with `distil` towards the same teacher. The folder
 * must not exist. Throws USAGE, MODEL_UNSUPPORTED for a teacher whose tokenizer is none of ours.
 */
export async function staticFrom(teacher: Embedder, folder: string): Promise<void> {
  const size = teacher.tokenizer.vocabularySize;
  const { dims } = teacher;
  const vectors = new Float32Array(size * dims);
  for (let from = 0; from < size; from += AT_ONCE) {
    const ids = Array.from({ length: Math.min(AT_ONCE, size - from) }, (_, i) => [from + i]);
    const matrix = await teacher.embedIds(ids);
    if (matrix.dims !== dims || matrix.data instanceof Uint8Array || matrix.data instanceof Int8Array) {
      throw new TenonError("USAGE", { problem: "the teacher gives packed vectors", expected: "float32" });
    }
    vectors.set(cast(matrix.tensor(), "float32").data as unknown as Float32Array, from * dims);
  }
  const parts = JSON.parse(readFileSync(tokenizerFile(teacher.card), "utf8")) as Record<string, unknown>;
  // Whole texts, whatever length the encoder had.
  const tokenizer = `${JSON.stringify({ ...parts, truncation: null, padding: null })}\n`;
  const { saveNewStatic } = await import("./save-folder.js"); // reads and writes files of PyTorch
  await saveNewStatic(folder, {
    tokenizer,
    vectors: tensorFromStorage("float32", [size, dims], vectors) as Tensor,
  });
}
