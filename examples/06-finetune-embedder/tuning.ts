/** An embedder trained to find a function by what it does, and the measure of it. */
import { type Embedder, retrieval, trainableEmbedder } from "tenon/embed";
import { adamw, linear as falling, fit, ndcg, recallAt, reciprocalRank, reporter } from "tenon/train";
import type { Declared } from "./declarations.js";

const METRICS = { recall1: recallAt(1), recall10: recallAt(10), mrr: reciprocalRank(), ndcg10: ndcg(10) };

/** Every fifth is for the test: no sentence and no signature of it was trained on. */
export function parted(all: readonly Declared[]): { readonly train: Declared[]; readonly test: Declared[] } {
  return { train: all.filter((_, i) => i % 5 !== 0), test: all.filter((_, i) => i % 5 === 0) };
}

/** How well the sentences of the test find their signatures among those of all. */
export function measure(model: Embedder, test: readonly Declared[], all: readonly Declared[]) {
  const places = new Map(all.map((each, i) => [each.signature, i]));
  return retrieval(
    model,
    {
      queries: test.map(({ sentence }) => sentence),
      documents: all.map(({ signature }) => signature),
      relevant: test.map(({ signature }) => [places.get(signature)!]),
    },
    METRICS,
  );
}

/** Trains the model of `from` and saves it as the folder `to`. */
export async function tune(
  from: string,
  to: string,
  train: readonly Declared[],
  {
    epochs,
    batch,
    quiet = false,
  }: { readonly epochs: number; readonly batch: number; readonly quiet?: boolean },
): Promise<void> {
  const student = await trainableEmbedder(from, { maxTokens: 64, seed: 1 });
  const rows = train.map(({ sentence, signature }) => ({ anchor: sentence, positive: signature }));
  const task = student.contrast(rows, { batch, seed: 1 });
  await using step = await student.model.compile({
    loss: task.loss,
    optimizer: adamw({ lr: 5e-5 }),
    clipNorm: 1,
  });
  const report = reporter();
  const totalSteps = task.batches * epochs;
  for await (const event of fit(step, task.data, { epochs, totalSteps, schedule: falling({ warmup: 0.1 }) }))
    if (!quiet) report(event);
  await student.save(to);
}
