/** Passes: changes of a whole model, run in order with the check after each, so that a broken pass is found there. */
import { check } from "./check.js";
import type { Graph, Model } from "./graph.js";

/** A change of a model, with the name that errors carry. */
export interface Pass {
  readonly name: string;
  readonly apply: (model: Model) => Model;
}

/** Runs passes in order. Throws what `check` throws, with the name of the pass that broke the model. */
export function run(model: Model, passes: readonly Pass[]): Model {
  for (const pass of passes) {
    const next = pass.apply(model);
    if (next !== model) check(next, { after: pass.name });
    model = next;
  }
  return model;
}

/** The same model around another main graph. */
export function withGraph(model: Model, graph: Graph): Model {
  return graph === model.graph ? model : Object.freeze({ ...model, graph });
}
