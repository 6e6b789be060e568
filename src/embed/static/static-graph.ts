/** A static model as a graph, for engines and servers: ids and a mask in, one vector a row out. */
import { graph, type OnnxModel } from "../../onnx/index.js";
import { type Tensor, tensorFromStorage } from "../../tensor/core.js";
import { EMBEDDING } from "../graph/names.js";
import { PoolingInputs } from "../graph/pool.js";
import type { StaticModel } from "./static-model.js";

/** Inputs input_ids and attention_mask, int64 [batch, sequence]; output sentence_embedding [batch, dims]. */
export function staticGraph(model: StaticModel): OnnxModel {
  const { table, dims, mapping, weights } = model;
  const rows = table.length / dims;
  const g = graph({ opset: 20 });
  const ids = g.input("input_ids", "int64", ["batch", "sequence"]);
  const mask = g.input("attention_mask", "int64", ["batch", "sequence"]);
  const constant = (name: string, tensor: Tensor): string => g.initializer(name, tensor);
  const at =
    mapping === undefined
      ? ids
      : g.add("Gather", [
          constant("mapping", tensorFromStorage("int32", [mapping.length], mapping) as Tensor),
          ids,
        ]);
  const vectors =
    table instanceof Int8Array
      ? tensorFromStorage("int8", [rows, dims], table)
      : tensorFromStorage("float32", [rows, dims], table);
  const taken = g.add("Gather", [constant("embeddings", vectors as Tensor), at]);
  const hidden = table instanceof Int8Array ? g.add("Cast", [taken], { to: 1 }) : taken;
  const from = new PoolingInputs(g, hidden, mask);
  let x: string;
  if (weights === undefined) x = from.sum(from.mask);
  else {
    const each = constant("weights", tensorFromStorage("float32", [weights.length], weights) as Tensor);
    x = from.sum(g.add("Mul", [g.add("Gather", [each, ids]), from.mask]));
  }
  x = g.add("Div", [x, from.atLeast(from.count, 1)]);
  if (model.card.normalize.value) {
    const norm = g.add("ReduceL2", [x, from.ints(1)], { keepdims: 1 });
    x = g.add("Div", [x, from.atLeast(norm, 1e-32)]);
  }
  g.output(x, EMBEDDING, { kind: "tensor", dtype: "float32", shape: ["batch", dims] });
  return g.model();
}
