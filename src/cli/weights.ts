/** The weights of a model file as a list: initializers and constants of the graph and of its subgraphs. */
import { type Graph, type OnnxModel, subgraphsOf, type TensorData } from "../onnx/index.js";
import { byteLengthOf, type DType, sizeOf } from "../tensor/index.js";

export interface Weight {
  readonly name: string;
  readonly dtype: DType;
  readonly dims: readonly number[];
  /** 0 for strings, whose size is in their texts. */
  readonly bytes: number;
}

/** Largest first; equal ones in the file's order. */
export function weightsOf(model: OnnxModel): Weight[] {
  const weights: Weight[] = [];
  const visit = (graph: Graph): void => {
    for (const [name, data] of graph.initializers) weights.push(weight(name, data));
    for (const node of graph.nodes) {
      for (const attr of node.attrs.values()) {
        if (attr.kind === "tensor") weights.push(weight(node.outputs[0] ?? node.name, attr.value));
      }
      for (const inner of subgraphsOf(node)) visit(inner);
    }
  };
  visit(model.graph);
  return weights.sort((a, b) => b.bytes - a.bytes);
}

function weight(name: string, { dtype, dims }: TensorData): Weight {
  return { name, dtype, dims, bytes: byteLengthOf(dtype, sizeOf(dims)) };
}
