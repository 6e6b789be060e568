/** All constants of a model, at all depths, and the files in which they lie. */
import { type Graph, type Model, type Node, subgraphsOf, type TensorData } from "./graph.js";

/** Initializers and tensors in attributes: of the graph, of subgraphs and of functions. */
export function* weightsIn(model: Model): Generator<TensorData> {
  yield* weightsOfGraph(model.graph);
  for (const fn of model.functions.values()) yield* weightsOfNodes(fn.nodes);
}

function* weightsOfGraph(graph: Graph): Generator<TensorData> {
  yield* graph.initializers.values();
  for (const { values } of graph.sparseInitializers.values()) yield values;
  yield* weightsOfNodes(graph.nodes);
}

function* weightsOfNodes(nodes: readonly Node[]): Generator<TensorData> {
  for (const node of nodes) {
    if (node.attrs.size === 0) continue;
    for (const attr of node.attrs.values()) {
      if (attr.kind === "tensor") yield attr.value;
      else if (attr.kind === "tensors") yield* attr.value;
      else if (attr.kind === "sparse") yield attr.value.values;
    }
    for (const graph of subgraphsOf(node)) yield* weightsOfGraph(graph);
  }
}

/** Absolute paths of the files that hold external weights, links resolved, sorted. */
export function weightFiles(model: Model): string[] {
  const files = new Set<string>();
  for (const { payload } of weightsIn(model)) {
    if (payload.in !== "external" || payload.range === undefined) continue;
    if (!(payload.range instanceof Uint8Array)) files.add(payload.range.file.path);
  }
  return [...files].sort();
}
