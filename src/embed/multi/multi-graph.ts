/** The graph of a late-interaction model: a vector of length 1 for each token. And MaxSim, which compares such vectors. */
import { TenonError } from "../../base/index.js";
import { appendGraph, graph, type OnnxModel, removeDead, run } from "../../onnx/index.js";
import { type Tensor, tensor } from "../../tensor/core.js";
import { bodyOf, hiddenStates, onlyOutputs, tokenInputs } from "../graph/body.js";
import type { TokenInput } from "../graph/names.js";
import { ACTIVATION } from "../graph/tail.js";
import { layerWeight } from "../graph/weight.js";
import type { MultiCard } from "./multi-card.js";

/** Name of the output, [batch, sequence, size]. */
export const TOKEN_VECTORS = "token_vectors";

export interface MultiGraph {
  readonly model: OnnxModel;
  readonly inputs: readonly TokenInput[];
  /** Numbers of a vector. */
  readonly dims: number;
}

export async function multiGraph(card: MultiCard): Promise<MultiGraph> {
  const body = await bodyOf(card, "none", card.projection === undefined ? [] : [card.projection]);
  const hidden = hiddenStates(body.model, card.config);
  const g = graph({ opset: body.model.opsets.get("") ?? 20 });
  const states = g.input("hidden", hidden.half ? "float16" : "float32", ["batch", "sequence", hidden.size]);
  let x = hidden.half ? g.add("Cast", [states], { to: 1 }) : states;
  let dims = hidden.size;
  for (const layer of await layersOf(card)) {
    const [to, from] = layer.weight.shape as readonly [number, number];
    if (from !== dims) {
      throw new TenonError("DIMS_MISMATCH", {
        problem: `${layer.from} does not take vectors of this size`,
        given: String(dims),
        expected: String(from),
      });
    }
    const weight = g.initializer(`${layer.name}.weight`, layer.weight);
    x = g.add("MatMul", [x, g.add("Transpose", [weight], { perm: [1, 0] })]);
    if (layer.bias !== undefined) x = g.add("Add", [x, g.initializer(`${layer.name}.bias`, layer.bias)]);
    x = ACTIVATION[layer.activation](g, x);
    dims = to;
  }
  const last = g.initializer("last", tensor([-1n], { dtype: "int64" }));
  const norm = g.add("ReduceL2", [x, last], { keepdims: 1 });
  const least = g.initializer("least", tensor(1e-12, { dtype: "float32" }));
  const unit = g.add("Div", [x, g.add("Max", [norm, least])]);
  g.output(unit, TOKEN_VECTORS, { kind: "tensor", dtype: "float32", shape: ["batch", "sequence", dims] });
  const model = run(body.model, [
    appendGraph(g.model(), { hidden: hidden.name }, {}),
    onlyOutputs(TOKEN_VECTORS),
    removeDead,
  ]);
  return { model, inputs: tokenInputs(model), dims };
}

interface Layer {
  readonly name: string;
  readonly from: string;
  readonly weight: Tensor;
  readonly bias: Tensor | undefined;
  readonly activation: keyof typeof ACTIVATION;
}

async function layersOf(card: MultiCard): Promise<Layer[]> {
  const layers: Layer[] = [];
  for (const [at, dense] of card.dense.entries()) {
    const weight = await layerWeight(dense.folder, "linear.weight", 2, dense.from);
    const bias = dense.bias ? await layerWeight(dense.folder, "linear.bias", 1, dense.from) : undefined;
    layers.push({ name: `dense.${at}`, from: dense.from, weight, bias, activation: dense.activation });
  }
  if (card.projection !== undefined) {
    const weight = await layerWeight(card.transformer, card.projection, 2, "the model");
    layers.push({
      name: "projection",
      from: card.projection,
      weight,
      bias: undefined,
      activation: "Identity",
    });
  }
  return layers;
}

/**
 * Inputs `query` [tokens, size], `documents` [batch, sequence, size] and `mask` [batch, sequence] of 1 and 0; output `scores`
 * [batch]: for each token of the query its largest product with a token of the document, added up.
 */
export function maxSimGraph(dims: number): OnnxModel {
  const g = graph({ opset: 20 });
  const query = g.input("query", "float32", ["tokens", dims]);
  const documents = g.input("documents", "float32", ["batch", "sequence", dims]);
  const mask = g.input("mask", "float32", ["batch", "sequence"]);
  const axis = (value: bigint): string => g.initializer(`axis.${value}`, tensor([value], { dtype: "int64" }));
  const number = (name: string, value: number): string =>
    g.initializer(name, tensor(value, { dtype: "float32" }));
  const [first, last] = [axis(1n), axis(2n)];
  const products = g.add("MatMul", [documents, g.add("Transpose", [query], { perm: [1, 0] })]);
  const seen = g.add("Greater", [g.add("Unsqueeze", [mask, last]), number("zero", 0)]);
  const kept = g.add("Where", [seen, products, number("least", -3.4e38)]);
  const best = g.add("ReduceMax", [kept, first], { keepdims: 0 });
  const scores = g.add("ReduceSum", [best, first], { keepdims: 0 });
  g.output(scores, "scores", { kind: "tensor", dtype: "float32", shape: ["batch"] });
  return g.model();
}
