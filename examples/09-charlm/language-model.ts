/** A transformer over characters: which one comes next. */
import type { Model } from "tenon/runtime";
import { type Tensor, tensorFromStorage } from "tenon/tensor";
import {
  adamw,
  add,
  cosine,
  crossEntropy,
  define,
  embedding,
  fit,
  int64,
  layerNorm,
  linear,
  normalInit,
  reporter,
  type TrainableModel,
  transformerBlock,
} from "tenon/train";
import { CHARACTERS, idsOf } from "./text.js";

/** Characters that the model sees. */
export const CONTEXT = 64;
const WIDTH = 128;
const LAYERS = 2;

export function languageModel(seed: number): TrainableModel {
  return define(
    { text: int64(["batch", CONTEXT]), next: int64(["batch", CONTEXT]) },
    (t, { text }) => {
      const init = normalInit({ std: 0.02 });
      const places = t.parameter("places", [CONTEXT, WIDTH], { init });
      let x = add(embedding(text, CHARACTERS.length, WIDTH, { init }), places);
      for (let layer = 0; layer < LAYERS; layer++) x = transformerBlock(x, { heads: 4, causal: true });
      return { scores: linear(layerNorm(x), CHARACTERS.length) };
    },
    { seed },
  );
}

/** A seeded generator of numbers from 0 to 1. */
function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Batches of pieces from anywhere in the text. */
function* batches(ids: Uint8Array, count: number, size: number, seed: number) {
  const random = numbers(seed);
  for (let at = 0; at < count; at++) {
    const text = new BigInt64Array(size * CONTEXT);
    const next = new BigInt64Array(size * CONTEXT);
    for (let row = 0; row < size; row++) {
      const start = Math.floor(random() * (ids.length - CONTEXT - 1));
      for (let i = 0; i < CONTEXT; i++) {
        text[row * CONTEXT + i] = BigInt(ids[start + i]!);
        next[row * CONTEXT + i] = BigInt(ids[start + i + 1]!);
      }
    }
    const tensor = (values: BigInt64Array<ArrayBuffer>): Tensor =>
      tensorFromStorage("int64", [size, CONTEXT], values) as Tensor;
    yield { text: tensor(text), next: tensor(next) };
  }
}

/** Trains, and gives the mean loss (nats a character) on text that was kept apart: its last twentieth. */
export async function trainLanguage(
  model: TrainableModel,
  text: string,
  { steps, seed, quiet = false }: { readonly steps: number; readonly seed: number; readonly quiet?: boolean },
): Promise<number> {
  const ids = idsOf(text);
  const split = Math.floor(ids.length * 0.95);
  const [seen, held] = [ids.subarray(0, split), ids.subarray(split)];
  await using step = await model.compile({
    loss: (_, out, batch) => crossEntropy(out.scores!, batch.next!),
    optimizer: adamw({ lr: 2e-3, weightDecay: 0.01 }),
    clipNorm: 1,
    seed,
  });
  const report = reporter();
  const options = { totalSteps: steps, schedule: cosine({ warmup: 0.05 }) };
  for await (const event of fit(step, () => batches(seen, steps, 32, seed), options))
    if (!quiet) report(event);
  let [sum, count] = [0, 0];
  for (const batch of batches(held, 8, 32, seed + 1)) {
    sum += (await step.evaluate(batch)).loss;
    count++;
  }
  return sum / count;
}

/** Goes on with a text by `length` characters, each drawn by its chance; `temperature` below 1 keeps to likely ones. */
export async function written(
  model: Model,
  start: string,
  {
    length,
    seed,
    temperature,
  }: { readonly length: number; readonly seed: number; readonly temperature: number },
): Promise<string> {
  const random = numbers(seed);
  let text = start;
  for (let at = 0; at < length; at++) {
    const seen = text.slice(-CONTEXT);
    const ids = new BigInt64Array(CONTEXT);
    idsOf(seen).forEach((id, i) => void (ids[i] = BigInt(id)));
    const { scores } = await model.run({ text: tensorFromStorage("int64", [1, CONTEXT], ids) as Tensor });
    const weights = Array.from(CHARACTERS, (_, i) =>
      Math.exp(Number(scores!.at(0, seen.length - 1, i)) / temperature),
    );
    let rest = random() * weights.reduce((a, b) => a + b, 0);
    text += CHARACTERS[weights.findIndex((weight) => (rest -= weight) < 0)] ?? " ";
  }
  return text;
}
