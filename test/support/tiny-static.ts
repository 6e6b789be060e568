/** A model2vec folder of a few kilobytes: twenty words, a vector each, or fewer vectors with a mapping and weights. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Tensor, tensorFromStorage } from "tenon/tensor";
import { saveSafetensors } from "tenon/torch";

const WORDS = "[UNK] a b c d one two three red green blue things".split(" ");

/** `clusters`: int8 vectors that words share. Gives the vector of each word, before lengths are brought to 1. */
export async function saveTinyStatic(
  folder: string,
  { clusters, config = {} }: { readonly clusters?: number; readonly config?: object } = {},
): Promise<(word: string) => number[]> {
  mkdirSync(folder, { recursive: true });
  const rows = clusters ?? WORDS.length;
  const values = Array.from({ length: rows * 4 }, (_, i) => Math.round(100 * Math.sin(i + 1)));
  const tensors: Record<string, Tensor> = {
    embeddings: (clusters === undefined
      ? tensorFromStorage("float32", [rows, 4], Float32Array.from(values))
      : tensorFromStorage("int8", [rows, 4], Int8Array.from(values))) as Tensor,
  };
  const weights = Float32Array.from(WORDS, (_, i) => 0.25 + i);
  if (clusters !== undefined) {
    tensors.mapping = tensorFromStorage(
      "int64",
      [WORDS.length],
      BigInt64Array.from(WORDS, (_, i) => BigInt((i * 5) % clusters)),
    ) as Tensor;
    tensors.weights = tensorFromStorage("float32", [WORDS.length], weights) as Tensor;
  }
  await saveSafetensors(join(folder, "model.safetensors"), tensors);
  writeFileSync(join(folder, "config.json"), JSON.stringify({ normalize: false, ...config }));
  const tokenizer = {
    version: "1.0",
    added_tokens: [],
    normalizer: { type: "Lowercase" },
    pre_tokenizer: { type: "Whitespace" },
    post_processor: null,
    decoder: null,
    model: {
      type: "WordLevel",
      unk_token: "[UNK]",
      vocab: Object.fromEntries(WORDS.map((word, id) => [word, id])),
    },
  };
  writeFileSync(join(folder, "tokenizer.json"), JSON.stringify(tokenizer));
  return (word) => {
    const id = WORDS.indexOf(word);
    const row = clusters === undefined ? id : (id * 5) % clusters;
    const scale = clusters === undefined ? 1 : weights[id]!;
    return values.slice(row * 4, row * 4 + 4).map((value) => value * scale);
  };
}
