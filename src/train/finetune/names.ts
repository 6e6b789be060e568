/** Weights that an exporter folded and renamed get their names back, by their values in the checkpoint. */
import { type OnnxModel, Patch, readTensor, withGraph } from "../../onnx/index.js";
import { materialize, openWeights, type TensorRef } from "../../torch/index.js";

/** Names that exporters make up. */
const MADE_UP = /^onnx::|^_?val_\d|^\//;

/**
 * The model with constants of made-up names (`onnx::MatMul_123`) renamed to those of equal tensors, as they are or
 * transposed, in a file of weights (safetensors, or a checkpoint of PyTorch). What is not found keeps its name.
 */
export async function withNamesOf(model: OnnxModel, path: string): Promise<OnnxModel> {
  const { graph } = model;
  const { tensors } = await openWeights(path);
  const bySize = new Map<number, TensorRef[]>();
  for (const ref of tensors.values()) {
    if (ref.dtype !== "float32" || graph.initializers.has(ref.name)) continue;
    const size = ref.shape.reduce((product, dim) => product * dim, 1);
    bySize.set(size, [...(bySize.get(size) ?? []), ref]);
  }
  const patch = new Patch(graph, model.opsets);
  const taken = new Set<string>();
  let changed = false;
  for (const [name, data] of graph.initializers) {
    if (data.dtype !== "float32" || !MADE_UP.test(name)) continue;
    const size = data.dims.reduce((product, dim) => product * dim, 1);
    const values = readTensor(data, { maxBytes: Number.POSITIVE_INFINITY }).data as unknown as Float32Array;
    const found = (bySize.get(size) ?? []).find(
      (ref) => !taken.has(ref.name) && isEqual(values, data.dims, ref),
    );
    if (found === undefined) continue;
    taken.add(found.name);
    patch.renameValue(name, found.name);
    changed = true;
  }
  return changed ? withGraph(model, patch.apply()) : model;
}

function isEqual(values: Float32Array, dims: readonly number[], ref: TensorRef): boolean {
  const tensor = materialize(ref, { maxBytes: Number.POSITIVE_INFINITY });
  const same = ref.shape.length === dims.length && ref.shape.every((dim, i) => dim === dims[i]);
  const turned =
    dims.length === 2 && ref.shape.length === 2 && ref.shape[0] === dims[1] && ref.shape[1] === dims[0];
  return (
    (same && equalTo(values, tensor.data as unknown as Float32Array)) ||
    (turned && equalTo(values, tensor.transpose().contiguous().data as unknown as Float32Array))
  );
}

function equalTo(a: Float32Array, b: Float32Array): boolean {
  return a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
}
