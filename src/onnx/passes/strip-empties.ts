/** strip-empties: drops trailing absent inputs and outputs, which say nothing and crash ONNX Runtime on some ops. */
import { type Attr, type Graph, makeGraph, type Node, withoutTrailingEmpty } from "../graph.js";
import { type Pass, withGraph } from "../pass.js";

export const stripEmpties: Pass = {
  name: "strip-empties",
  apply: (model) => withGraph(model, stripGraph(model.graph)),
};

function stripGraph(graph: Graph): Graph {
  const nodes = graph.nodes.map(stripNode);
  return nodes.some((node, i) => node !== graph.nodes[i]) ? makeGraph({ ...graph, nodes }) : graph;
}

function stripNode(node: Node): Node {
  const inputs = withoutTrailingEmpty(node.inputs);
  const outputs = withoutTrailingEmpty(node.outputs);
  const attrs = mapGraphs(node.attrs, stripGraph);
  if (inputs === node.inputs && outputs === node.outputs && attrs === node.attrs) return node;
  return Object.freeze({ ...node, inputs, outputs, attrs });
}

/** Attributes with every graph mapped; the map itself when nothing changed. */
export function mapGraphs(
  attrs: ReadonlyMap<string, Attr>,
  change: (graph: Graph) => Graph,
): ReadonlyMap<string, Attr> {
  let changed: Map<string, Attr> | undefined;
  for (const [name, attr] of attrs) {
    let next = attr;
    if (attr.kind === "graph") {
      const value = change(attr.value);
      if (value !== attr.value) next = Object.freeze({ ...attr, value });
    } else if (attr.kind === "graphs") {
      const value = attr.value.map(change);
      if (value.some((graph, i) => graph !== attr.value[i])) next = Object.freeze({ ...attr, value });
    }
    if (next !== attr) (changed ??= new Map(attrs)).set(name, next);
  }
  return changed ?? attrs;
}
