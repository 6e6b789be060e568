/** with-weights: constants of a graph take other values of the same dtype and dims. */
import { check } from "../check.js";
import { type Model, makeGraph, type TensorData } from "../graph.js";
import { withGraph } from "../pass.js";

/** The model with these constants in place of those of the same names. */
export function withWeights(model: Model, weights: ReadonlyMap<string, TensorData>): Model {
  const { graph } = model;
  const initializers = new Map(graph.initializers);
  for (const [name, data] of weights) initializers.set(name, { ...data, name });
  const changed = withGraph(model, makeGraph({ ...graph, initializers }));
  check(changed, { after: "with-weights" });
  return changed;
}
