/** A BERT-style encoder (Devlin et al. 2018) as exporters write it, so that ONNX Runtime's fusions apply. */
import { graph, type OnnxModel } from "tenon/onnx";
import { tensorFromStorage } from "tenon/tensor";
import { layerNorm, type Net, net, project } from "./layers.js";

export interface EncoderSizes {
  readonly layers: number;
  readonly width: number;
  readonly heads: number;
  /** Width between the two matrices of the feed-forward part. */
  readonly inner: number;
  readonly vocabulary: number;
  readonly positions: number;
}

/** Inputs input_ids, attention_mask, token_type_ids: int64 [N, S]; output last_hidden_state: float32 [N, S, width]. */
export function encoder(sizes: EncoderSizes): OnnxModel {
  const g = graph({ opset: 17, name: "encoder" });
  const n = net(g, 15);
  const ids = g.input("input_ids", "int64", ["N", "S"]);
  const mask = g.input("attention_mask", "int64", ["N", "S"]);
  const types = g.input("token_type_ids", "int64", ["N", "S"]);
  const bias = maskBias(n, mask);
  let x = embeddings(n, ids, types, sizes);
  for (let layer = 0; layer < sizes.layers; layer++) {
    x = layerNorm(n, g.add("Add", [attention(n, x, bias, sizes), x]), sizes.width);
    x = layerNorm(n, g.add("Add", [feedForward(n, x, sizes), x]), sizes.width);
  }
  g.output(x, "last_hidden_state");
  return g.model();
}

function scalar(n: Net, name: string, value: number): string {
  return n.g.initializer(name, tensorFromStorage("float32", [], Float32Array.of(value)));
}

/** 0 where the mask is 1 and −10,000 where it is 0, shaped [N, 1, 1, S]. */
function maskBias(n: Net, mask: string): string {
  const { g } = n;
  let x = g.add("Unsqueeze", [mask, n.ints("mask.axis1", [1])]);
  x = g.add("Unsqueeze", [x, n.ints("mask.axis2", [2])]);
  x = g.add("Cast", [x], { to: 1 });
  x = g.add("Sub", [scalar(n, "mask.one", 1), x]);
  return g.add("Mul", [x, scalar(n, "mask.low", -10000)]);
}

function embeddings(n: Net, ids: string, types: string, sizes: EncoderSizes): string {
  const { g } = n;
  const { width } = sizes;
  const words = n.weight("embeddings.word", [sizes.vocabulary, width], width);
  const kinds = n.weight("embeddings.token_type", [2, width], width);
  const places = n.weight("embeddings.position", [1, sizes.positions, width], width);
  const shape = g.add("Shape", [ids]);
  const length = g.add("Slice", [shape, n.ints("length.from", [1]), n.ints("length.to", [2])]);
  const position = g.add("Slice", [
    places,
    n.ints("position.from", [0]),
    length,
    n.ints("position.axis", [1]),
  ]);
  const sum = g.add("Add", [g.add("Gather", [words, ids]), g.add("Gather", [kinds, types])]);
  return layerNorm(n, g.add("Add", [sum, position]), width);
}

function attention(n: Net, x: string, bias: string, { width, heads }: EncoderSizes): string {
  const { g } = n;
  const head = width / heads;
  const name = n.fresh("attention");
  const split = n.ints(`${name}.split`, [0, 0, heads, head]);
  const merge = n.ints(`${name}.merge`, [0, 0, width]);
  const part = (perm: readonly number[]): string =>
    g.add("Transpose", [g.add("Reshape", [project(n, x, width, width), split])], { perm });
  const query = part([0, 2, 1, 3]);
  const key = part([0, 2, 3, 1]);
  const value = part([0, 2, 1, 3]);
  const scores = g.add("Div", [g.add("MatMul", [query, key]), scalar(n, `${name}.scale`, Math.sqrt(head))]);
  const weights = g.add("Softmax", [g.add("Add", [scores, bias])], { axis: -1 });
  const mixed = g.add("Transpose", [g.add("MatMul", [weights, value])], { perm: [0, 2, 1, 3] });
  return project(n, g.add("Reshape", [mixed, merge]), width, width);
}

/** Linear, GELU spelled out with Erf, linear. */
function feedForward(n: Net, x: string, { width, inner }: EncoderSizes): string {
  const { g } = n;
  const name = n.fresh("gelu");
  const y = project(n, x, width, inner);
  const erf = g.add("Erf", [g.add("Div", [y, scalar(n, `${name}.root2`, Math.SQRT2)])]);
  const gated = g.add("Mul", [y, g.add("Add", [erf, scalar(n, `${name}.one`, 1)])]);
  return project(n, g.add("Mul", [gated, scalar(n, `${name}.half`, 0.5)]), inner, width);
}
