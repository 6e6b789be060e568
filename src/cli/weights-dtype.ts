/** The dtype that a model is said to have. */
import type { OnnxModel } from "../onnx/index.js";

/** The type of most numbers among a graph's weights; `float32` where it has none. */
export function weightsDtype({ graph }: OnnxModel): string {
  const counts = new Map<string, number>();
  for (const { dtype, dims } of graph.initializers.values())
    counts.set(dtype, (counts.get(dtype) ?? 0) + dims.reduce((size, dim) => size * dim, 1));
  return [...counts].reduce((most, one) => (one[1] > most[1] ? one : most), ["float32", 0] as const)[0];
}
