/** Evaluation: a model over data in inference mode, its loss and metrics. */
import { TenonError } from "../../base/index.js";
import { Tensor, tensor } from "../../tensor/index.js";
import type { BatchValue } from "../step/batch.js";
import type { TrainStep } from "../step/step.js";
import type { EvaluateOptions } from "./options.js";
import { sourceOf } from "./source.js";

/**
 * `loss` (the mean over rows) and the metrics of a model over data, in inference mode. `batch` is the rows of a batch of
 * arrays, default 32. Throws as `step.evaluate` and the metrics do.
 */
export async function evaluate(
  step: TrainStep,
  { data, metrics = {}, compare }: Omit<EvaluateOptions, "every">,
  { batch: rowsPerBatch = 32 }: { readonly batch?: number } = {},
): Promise<Record<string, number>> {
  const source = sourceOf(data, { batch: rowsPerBatch, shuffle: false, dropLast: false, seed: 0 });
  const running = Object.entries(metrics).map(([name, make]) => [name, make()] as const);
  let [sum, all] = [0, 0];
  for await (const { batch } of source.epoch(0, undefined)) {
    const { loss, outputs, rows } = await step.evaluate(batch);
    sum += loss * rows;
    all += rows;
    if (running.length === 0) continue;
    const { prediction, target } = (compare ?? firstOf(step))(outputs, batch);
    for (const [, each] of running) each.add(prediction, target);
  }
  if (all === 0) throw new TenonError("USAGE", { problem: "there is no data to evaluate on" });
  return { loss: sum / all, ...Object.fromEntries(running.map(([name, each]) => [name, each.value()])) };
}

/** The first output, and the first entry of the batch that is no input. */
function firstOf(step: TrainStep): NonNullable<EvaluateOptions["compare"]> {
  const { graph } = step.model.parts.onnx;
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  return (outputs, batch) => {
    const record = ("release" in batch ? batch.data : batch) as Readonly<Record<string, BatchValue>>;
    const label = Object.keys(record).find((name) => !inputs.has(name));
    const prediction = outputs[graph.outputs[0]!.name];
    if (label === undefined || prediction === undefined) {
      throw new TenonError("USAGE", {
        problem: "metrics need a target",
        given: `a batch of ${Object.keys(record).join(", ")}, all of them inputs`,
        do: "say in compare what the metrics compare",
      });
    }
    const target = record[label]!;
    return { prediction, target: target instanceof Tensor ? target : tensor(target) };
  };
}
