/** A BERT of a few kilobytes with seeded random weights, as the folder that transformers would write. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type Tensor, tensorFromStorage } from "tenon/tensor";
import { saveSafetensors } from "tenon/torch";
import { randomFloats, seededRandom } from "./random.js";

const SIZE = 8;
const INNER = 12;
const WORDS = 20;
const POSITIONS = 16;

export const TINY_BERT_CONFIG = {
  architectures: ["BertModel"],
  model_type: "bert",
  hidden_size: SIZE,
  intermediate_size: INNER,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  vocab_size: WORDS,
  max_position_embeddings: POSITIONS,
  type_vocab_size: 2,
};

/** Shapes of all weights by name, without a pooler. */
function tinyBertShapes(): Record<string, readonly number[]> {
  const shapes: Record<string, readonly number[]> = {
    "embeddings.word_embeddings.weight": [WORDS, SIZE],
    "embeddings.position_embeddings.weight": [POSITIONS, SIZE],
    "embeddings.token_type_embeddings.weight": [2, SIZE],
    ...norm("embeddings.LayerNorm"),
  };
  for (let layer = 0; layer < TINY_BERT_CONFIG.num_hidden_layers; layer++) {
    const path = `encoder.layer.${layer}`;
    for (const name of ["query", "key", "value"])
      Object.assign(shapes, linear(`${path}.attention.self.${name}`, SIZE, SIZE));
    Object.assign(shapes, linear(`${path}.attention.output.dense`, SIZE, SIZE));
    Object.assign(shapes, norm(`${path}.attention.output.LayerNorm`));
    Object.assign(shapes, linear(`${path}.intermediate.dense`, SIZE, INNER));
    Object.assign(shapes, linear(`${path}.output.dense`, INNER, SIZE));
    Object.assign(shapes, norm(`${path}.output.LayerNorm`));
  }
  return shapes;
}

const linear = (path: string, from: number, to: number): Record<string, readonly number[]> => ({
  [`${path}.weight`]: [to, from],
  [`${path}.bias`]: [to],
});

const norm = (path: string): Record<string, readonly number[]> => ({
  [`${path}.weight`]: [SIZE],
  [`${path}.bias`]: [SIZE],
});

/** Random weights of these shapes. */
export function randomWeights(
  shapes: Readonly<Record<string, readonly number[]>>,
  seed: number,
): Record<string, Tensor> {
  const random = seededRandom(seed);
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const count = shape.reduce((product, size) => product * size, 1);
      return [name, tensorFromStorage("float32", shape, randomFloats(count, 0.5, random))];
    }),
  );
}

/** Writes the folder; `config` has the fields that differ, `weights` those that are others, undefined to leave one out. */
export async function saveTinyBert(
  folder: string,
  config: Readonly<Record<string, unknown>> = {},
  weights: Readonly<Record<string, Tensor | undefined>> = {},
): Promise<string> {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "config.json"), JSON.stringify({ ...TINY_BERT_CONFIG, ...config }));
  const all = { ...randomWeights(tinyBertShapes(), 1), ...weights };
  const given = Object.entries(all).filter((entry): entry is [string, Tensor] => entry[1] !== undefined);
  await saveSafetensors(join(folder, "model.safetensors"), Object.fromEntries(given));
  return folder;
}

export const TINY_BERT_INPUTS = [
  "input_ids=[[3,7,1]]",
  "attention_mask=[[1,1,1]]",
  "token_type_ids=[[0,0,1]]",
];
