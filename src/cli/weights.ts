/** The weights of a file as a list: of an ONNX graph with its subgraphs, or of a PyTorch file. */
import { type Graph, type OnnxModel, subgraphsOf, type TensorData } from "../onnx/index.js";
import { byteLengthOf, type DType, sizeOf } from "../tensor/index.js";
import type { TensorRef } from "../torch/index.js";

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

function weight(name: string, { dtype, dims }: Pick<TensorData, "dtype" | "dims">): Weight {
  return { name, dtype, dims, bytes: byteLengthOf(dtype, sizeOf(dims)) };
}

/** Largest first; equal ones in the file's order. */
export function weightsOfRefs(refs: Iterable<TensorRef>): Weight[] {
  return Array.from(refs, ({ name, dtype, shape }) => weight(name, { dtype, dims: shape })).sort(
    (a, b) => b.bytes - a.bytes,
  );
}
