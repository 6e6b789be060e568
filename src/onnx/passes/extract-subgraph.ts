/** extract-subgraph: the part of a graph between some values and others, as a model of its own. */
import { TenonError } from "../../base/index.js";
import { type Graph, makeGraph, type Node, type Value, type ValueType } from "../graph.js";
import { inferTypes } from "../infer/infer.js";
import { type Pass, withGraph } from "../pass.js";
import { usesOf } from "../uses.js";

/**
 * Values named `inputs` become the inputs and those named `outputs` the outputs; types come from inference. Throws
 * USAGE when an output needs an input of the graph that is not among `inputs`, or a value does not exist.
 */
export function extractSubgraph(inputs: readonly string[], outputs: readonly string[]): Pass {
  return {
    name: "extract-subgraph",
    apply: (model) => {
      const { types } = inferTypes(model, { conflicts: "note" });
      return withGraph(model, cut(model.graph, inputs, outputs, types));
    },
  };
}

function cut(
  graph: Graph,
  inputs: readonly string[],
  outputs: readonly string[],
  types: ReadonlyMap<string, ValueType>,
): Graph {
  const cuts = new Set(inputs);
  const needed = new Set(outputs);
  const kept: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    const isNeeded = node.outputs.some((name) => needed.has(name) && !cuts.has(name));
    if (!isNeeded) continue;
    for (const name of usesOf(node)) needed.add(name);
    kept.push(node);
  }
  const nodes = kept.reverse().map((node) => withoutCuts(node, cuts));
  const defined = new Set([
    ...nodes.flatMap((node) => node.outputs),
    ...graph.initializers.keys(),
    ...graph.sparseInitializers.keys(),
    ...inputs,
  ]);
  const missing = [...needed].filter((name) => !defined.has(name));
  if (missing.length > 0) {
    throw new TenonError("USAGE", {
      problem: "the outputs need values that are not among the inputs",
      given: missing.join(", "),
      do: "name them as inputs, or cut behind them",
    });
  }
  const value = (name: string): Value => {
    const type = types.get(name);
    return type === undefined ? { name } : { name, type };
  };
  const isUsed = ([name]: readonly [string, unknown]): boolean => needed.has(name) && !cuts.has(name);
  const inner = new Set(nodes.flatMap((node) => node.outputs));
  for (const name of outputs) inner.delete(name);
  return makeGraph({
    ...graph,
    inputs: inputs.map(value),
    outputs: outputs.map(value),
    nodes,
    initializers: new Map([...graph.initializers].filter(isUsed)),
    sparseInitializers: new Map([...graph.sparseInitializers].filter(isUsed)),
    valueInfo: new Map([...graph.valueInfo].filter(([name]) => inner.has(name))),
  });
}

/** A node of several outputs may give one that is an input now. */
function withoutCuts(node: Node, cuts: ReadonlySet<string>): Node {
  if (!node.outputs.some((name) => cuts.has(name))) return node;
  return Object.freeze({ ...node, outputs: node.outputs.map((name) => (cuts.has(name) ? "" : name)) });
}
