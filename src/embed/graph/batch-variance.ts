/** Whether a graph gives a text another vector in other company: its numbers share a scale with those of the batch. */
import { type Graph, type OnnxModel, subgraphsOf } from "../../onnx/index.js";

/** Operators that take one scale from all of a batch. */
const SHARED_SCALE: ReadonlySet<string> = new Set([
  "DynamicQuantizeLinear",
  "DynamicQuantizeMatMul",
  "DynamicQuantizeLSTM",
]);

/** The operator that does so; undefined where none does. */
export function sharedScale(model: OnnxModel): string | undefined {
  const inGraph = (graph: Graph): string | undefined => {
    for (const node of graph.nodes) {
      if (SHARED_SCALE.has(node.op)) return node.op;
      for (const inner of subgraphsOf(node)) {
        const found = inGraph(inner);
        if (found !== undefined) return found;
      }
    }
    return undefined;
  };
  return inGraph(model.graph);
}
