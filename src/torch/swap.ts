/** swapWeights: other weights of the same network put into a graph, checked name by name. */
import { type OnnxModel, type TensorData, withWeights } from "../onnx/index.js";
import { dtypeInfo } from "../tensor/index.js";
import { damaged } from "./invalid.js";
import { isSameView, type TensorRef } from "./tensor-ref.js";
import { tensorDataOf } from "./weight-data.js";
import { BUFFERS, listed, PARAMETER, sameWeight, withNear } from "./weight-names.js";
import type { Weights } from "./weights.js";

export interface SwapOptions {
  /** Accept weights for a part of the graph only: the others stay. Default false. */
  readonly partial?: boolean;
}

/**
 * The graph with the weights of a checkpoint, as a fine-tuned model has them. Names are those of the modules, with or
 * without the prefix of a wrapper; dtypes and shapes must agree. Weights are not copied: they stay in the checkpoint's
 * file. Of tied weights
 * the graph has one, and other names of the same view of a storage pass. Throws FILE_INVALID that lists all of the checkpoint's tensors that the graph does not have, all of the graph's
 * weights that are not given, and all that differ in shape or dtype.
 *
 * @example
 * const tuned = swapWeights(await readModel("base.onnx"), await openWeights("tuned.safetensors"));
 */
export function swapWeights(model: OnnxModel, weights: Weights, options: SwapOptions = {}): OnnxModel {
  const { initializers } = model.graph;
  const names = new Set(initializers.keys());
  const given = new Map<string, TensorRef>();
  const extra: string[] = [];
  const unlike: string[] = [];
  for (const [name, ref] of weights.tensors) {
    if (BUFFERS.test(name)) continue;
    const known = sameWeight(name, names);
    if (known === undefined) extra.push(name);
    else if (given.has(known)) unlike.push(`${known} is given twice, also as ${name}`);
    else {
      given.set(known, ref);
      const complaint = difference(initializers.get(known)!, ref);
      if (complaint !== undefined) unlike.push(`${known} ${complaint}`);
    }
  }
  const taken = [...given.values()];
  const alone = extra.filter((name) => !taken.some((ref) => isSameView(ref, weights.tensors.get(name)!)));
  const missing = options.partial
    ? []
    : [...initializers]
        .filter(([name, data]) => isWeight(name, data) && !given.has(name))
        .map(([name]) => name);
  const parts = [
    ["not in the graph", alone.map((name) => withNear(name, names))],
    ["not in the checkpoint", missing],
    ["different", unlike],
  ] as const;
  const problems = parts
    .filter(([, list]) => list.length > 0)
    .map(([what, list]) => `${what}: ${listed(list)}`);
  if (problems.length > 0 || given.size === 0) {
    throw damaged("the checkpoint does not fit the graph", {
      given: problems.length > 0 ? problems.join("; ") : "no weight",
      do:
        missing.length > 0
          ? "take the checkpoint of the model that was converted, or allow a part with partial"
          : "take the checkpoint of the model that was converted",
    });
  }
  return withWeights(model, new Map([...given].map(([name, ref]) => [name, tensorDataOf(ref)])));
}

/** A parameter of a module, not a constant of the graph. */
function isWeight(name: string, { dtype, dims }: TensorData): boolean {
  return PARAMETER.test(name) && dims.length > 0 && dtypeInfo(dtype).kind === "float";
}

function difference(data: TensorData, ref: TensorRef): string | undefined {
  const [own, other] = [`${data.dtype} [${data.dims.join(", ")}]`, `${ref.dtype} [${ref.shape.join(", ")}]`];
  return own === other ? undefined : `is ${own}, given ${other}`;
}
