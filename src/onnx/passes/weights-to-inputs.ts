/** weights-to-inputs: constants become inputs of the graph, and back. */
import { TenonError } from "../../base/index.js";
import { check } from "../check.js";
import { type Model, makeGraph, type TensorData, type Value } from "../graph.js";
import { withGraph } from "../pass.js";

/**
 * The model with the named constants (default: all) as inputs behind its own, and the weights that were taken out.
 * Throws USAGE for a name that is no constant.
 */
export function weightsToInputs(
  model: Model,
  names: readonly string[] = [...model.graph.initializers.keys()],
): { readonly model: Model; readonly weights: ReadonlyMap<string, TensorData> } {
  const { graph } = model;
  const initializers = new Map(graph.initializers);
  const weights = new Map<string, TensorData>();
  const declared = new Set(graph.inputs.map(({ name }) => name));
  const added: Value[] = [];
  for (const name of names) {
    const data = initializers.get(name);
    if (data === undefined) {
      throw new TenonError("USAGE", { problem: "the graph has no constant of this name", given: name });
    }
    initializers.delete(name);
    weights.set(name, data);
    if (!declared.has(name))
      added.push({ name, type: { kind: "tensor", dtype: data.dtype, shape: data.dims } });
  }
  const changed = withGraph(
    model,
    makeGraph({ ...graph, inputs: [...graph.inputs, ...added], initializers }),
  );
  check(changed, { after: "weights-to-inputs" });
  return { model: changed, weights };
}

/** The inverse: inputs that have a weight become constants. Throws USAGE for a weight that is no input. */
export function inputsToWeights(model: Model, weights: ReadonlyMap<string, TensorData>): Model {
  const { graph } = model;
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  for (const name of weights.keys()) {
    if (!inputs.has(name))
      throw new TenonError("USAGE", { problem: "the graph has no input of this name", given: name });
  }
  const changed = withGraph(
    model,
    makeGraph({
      ...graph,
      inputs: graph.inputs.filter(({ name }) => !weights.has(name)),
      initializers: new Map([...graph.initializers, ...weights]),
    }),
  );
  check(changed, { after: "inputs-to-weights" });
  return changed;
}
