/** strip-empties: drops trailing absent inputs and outputs, which say nothing and crash ONNX Runtime on some ops. */
import { type Graph, makeGraph, mapGraphs, type Node, withoutTrailingEmpty } from "../graph.js";
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
