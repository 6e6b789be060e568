/** A classifier of texts: the mean of the words' vectors, two layers behind it. */
import {
  accuracy,
  adamw,
  cast,
  crossEntropy,
  define,
  div,
  embedding,
  evaluate,
  fit,
  greater,
  int64,
  linear,
  maximum,
  mul,
  relu,
  reporter,
  sum,
  type TrainableModel,
  unsqueeze,
} from "tenon/train";
import { LENGTH, type Mails, WORDS } from "./mails.js";

export function spamClassifier(seed: number): TrainableModel {
  return define(
    { ids: int64(["batch", LENGTH]), spam: int64(["batch"]) },
    (_, { ids }) => {
      const known = unsqueeze(cast(greater(ids, 0), "float32"), [2]);
      const vectors = mul(embedding(ids, WORDS, 32), known);
      const mean = div(sum(vectors, { axes: [1] }), maximum(sum(known, { axes: [1] }), 1));
      return { scores: linear(relu(linear(mean, 32)), 2) };
    },
    { seed },
  );
}

/** Trains and gives the accuracy on the test mails. */
export async function trainSpam(
  model: TrainableModel,
  data: { readonly train: Mails; readonly test: Mails },
  {
    epochs,
    seed,
    quiet = false,
  }: { readonly epochs: number; readonly seed: number; readonly quiet?: boolean },
): Promise<number> {
  await using step = await model.compile({
    loss: (_, out, batch) => crossEntropy(out.scores!, batch.spam!),
    optimizer: adamw({ lr: 3e-3, weightDecay: 0 }),
    seed,
  });
  const test = { data: { ...data.test }, metrics: { accuracy } };
  const report = reporter();
  for await (const event of fit(step, { ...data.train }, { epochs, batch: 64, evaluate: test }))
    if (!quiet) report(event);
  return (await evaluate(step, test, { batch: 64 })).accuracy!;
}
