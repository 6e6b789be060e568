/** remove-dead: drops nodes and constants that no output depends on, in the main graph and in subgraphs. */
import { type Graph, makeGraph, mapGraphs, type Node } from "../graph.js";
import { type Pass, withGraph } from "../pass.js";
import { usesOf } from "../uses.js";

export const removeDead: Pass = {
  name: "remove-dead",
  apply: (model) => withGraph(model, prune(model.graph)),
};

function prune(graph: Graph): Graph {
  const needed = new Set(graph.outputs.map((output) => output.name));
  const kept: Node[] = [];
  for (const node of [...graph.nodes].reverse()) {
    if (!node.outputs.some((name) => needed.has(name))) continue;
    const attrs = mapGraphs(node.attrs, prune);
    const pruned = attrs === node.attrs ? node : Object.freeze({ ...node, attrs });
    for (const name of usesOf(pruned)) needed.add(name);
    kept.push(pruned);
  }
  const nodes = kept.reverse();
  const inputs = new Set(graph.inputs.map((input) => input.name));
  const isUsed = ([name]: readonly [string, unknown]): boolean => needed.has(name) || inputs.has(name);
  const initializers = [...graph.initializers].filter(isUsed);
  const sparse = [...graph.sparseInitializers].filter(isUsed);
  const unchanged =
    nodes.length === graph.nodes.length &&
    nodes.every((node, i) => node === graph.nodes[i]) &&
    initializers.length === graph.initializers.size &&
    sparse.length === graph.sparseInitializers.size;
  if (unchanged) return graph;
  const defined = new Set(nodes.flatMap((node) => node.outputs));
  return makeGraph({
    ...graph,
    nodes,
    initializers: new Map(initializers),
    sparseInitializers: new Map(sparse),
    valueInfo: new Map([...graph.valueInfo].filter(([name]) => defined.has(name))),
  });
}
