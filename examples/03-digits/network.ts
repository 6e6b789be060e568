/** A small convolutional network for digits, and its training. */
import {
  accuracy,
  adamw,
  conv,
  crossEntropy,
  define,
  evaluate,
  fit,
  flatten,
  float32,
  int64,
  linear,
  maxPool,
  relu,
  reporter,
  type TrainableModel,
} from "tenon/train";
import type { Digits } from "./digits.js";

const BATCH = 64;

export function digitNetwork(seed: number): TrainableModel {
  return define(
    { image: float32(["batch", 1, 28, 28]), digit: int64(["batch"]) },
    (_, { image }) => {
      const edges = maxPool(relu(conv(image, 32, { kernel: 3, padding: 1 })), { kernel: 2 });
      const strokes = maxPool(relu(conv(edges, 64, { kernel: 3, padding: 1 })), { kernel: 2 });
      return { scores: linear(flatten(strokes), 10) };
    },
    { seed },
  );
}

export interface TrainOptions {
  readonly epochs: number;
  readonly seed: number;
  /** Folder of checkpoints; default none. */
  readonly run?: string;
  readonly quiet?: boolean;
}

/** Trains and gives the accuracy on the test rows. */
export async function trainDigits(
  model: TrainableModel,
  data: { readonly train: Digits; readonly test: Digits },
  { epochs, seed, run, quiet = false }: TrainOptions,
): Promise<number> {
  await using step = await model.compile({
    loss: (_, out, batch) => crossEntropy(out.scores!, batch.digit!),
    optimizer: adamw({ lr: 1e-3, weightDecay: 0 }),
    seed,
  });
  const report = reporter();
  const test = { ...data.test };
  const options = {
    epochs,
    batch: BATCH,
    evaluate: { data: test, metrics: { accuracy } },
    ...(run === undefined ? {} : { checkpoint: { dir: run }, resume: true }),
  };
  for await (const event of fit(step, { ...data.train }, options)) if (!quiet) report(event);
  return (await evaluate(step, { data: test, metrics: { accuracy } }, { batch: BATCH })).accuracy!;
}
