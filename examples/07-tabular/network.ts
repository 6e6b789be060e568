/** A network on the readings of a table, which scales them itself. */
import type { Dataset } from "tenon/data";
import { type Tensor, tensor } from "tenon/tensor";
import {
  adamw,
  auroc,
  bceWithLogits,
  cast,
  cosine,
  define,
  div,
  dropout,
  evaluate,
  fit,
  float32,
  int64,
  linear,
  relu,
  reporter,
  sigmoid,
  squeeze,
  sub,
  type TrainableModel,
} from "tenon/train";
import { READINGS } from "./table.js";

export type Rows = Dataset<{ readonly readings: Tensor; readonly failed: Tensor }>;

/** Mean and deviation of each reading. */
export async function scalesOf(
  rows: Rows,
): Promise<{ readonly mean: number[]; readonly deviation: number[] }> {
  const sums = READINGS.map(() => ({ count: 0, sum: 0, squares: 0 }));
  for await (const { data } of rows) {
    const values = data.readings.data as unknown as Float32Array; // packed as float32
    values.forEach((value, i) => {
      const column = sums[i % READINGS.length]!;
      column.count++;
      column.sum += value;
      column.squares += value * value;
    });
  }
  const mean = sums.map(({ count, sum }) => sum / count);
  return { mean, deviation: sums.map(({ count, squares }, i) => Math.sqrt(squares / count - mean[i]! ** 2)) };
}

export function pumpNetwork(scales: Awaited<ReturnType<typeof scalesOf>>, seed: number): TrainableModel {
  return define(
    { readings: float32(["batch", READINGS.length]), failed: int64(["batch"]) },
    (t, { readings }) => {
      const constant = (values: number[]) => t.constant(tensor(values, { dtype: "float32" }));
      let x = div(sub(readings, constant(scales.mean)), constant(scales.deviation));
      for (const width of [64, 32]) x = dropout(relu(linear(x, width)), 0.05);
      const score = squeeze(linear(x, 1), [1]);
      return { score, risk: sigmoid(score) };
    },
    { seed },
  );
}

/** Trains, and gives the chance that a failed pump of the test is ranked above another. */
export async function trainPumps(
  model: TrainableModel,
  data: { readonly train: Rows; readonly test: Rows },
  {
    epochs,
    seed,
    quiet = false,
  }: { readonly epochs: number; readonly seed: number; readonly quiet?: boolean },
): Promise<number> {
  await using step = await model.compile({
    loss: (_, out, batch) => bceWithLogits(out.score!, cast(batch.failed!, "float32")),
    optimizer: adamw({ lr: 3e-3 }),
    seed,
  });
  const test = { data: data.test, metrics: { auroc } };
  const report = reporter();
  const options = { epochs, schedule: cosine({ warmup: 0.05 }), evaluate: test, watch: "auroc" };
  for await (const event of fit(step, data.train, options)) if (!quiet) report(event);
  return (await evaluate(step, test)).auroc!;
}
