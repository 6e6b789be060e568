/** What stands behind the transformer, as a graph: pooling, dense modules, the cut to fewer dims, length 1, the output's type. */
import { TenonError } from "../../base/index.js";
import { type GraphBuilder, graph, type OnnxModel } from "../../onnx/index.js";
import { cast, tensor } from "../../tensor/index.js";
import type { DenseActivation, DenseModule, ModelCard } from "../card/card.js";
import { EMBEDDING, type OutputType } from "./names.js";
import { POOLING_RULES, PoolingInputs } from "./pool.js";

export interface TailOptions {
  readonly opset: number;
  /** Size of the hidden states. */
  readonly size: number;
  /** The type of the hidden states is float16. */
  readonly half: boolean;
  readonly dims: number | undefined;
  readonly output: OutputType;
  /** Name of the input that tells which tokens are pooled. */
  readonly mask: string;
}

export const ACTIVATION: { readonly [A in DenseActivation]: (g: GraphBuilder, x: string) => string } = {
  Identity: (_, x) => x,
  Tanh: (g, x) => g.add("Tanh", [x]),
  ReLU: (g, x) => g.add("Relu", [x]),
  GELU: (g, x) => g.add("Gelu", [x]),
  Sigmoid: (g, x) => g.add("Sigmoid", [x]),
  SiLU: (g, x) => g.add("Mul", [x, g.add("Sigmoid", [x])]),
};

/** Sizes of a dense model's vectors before they are cut: behind pooling and dense modules. */
export function vectorSize(card: ModelCard, hidden: number): number {
  let size = hidden * card.pooling.value.length;
  for (const dense of card.dense) {
    if (dense.inFeatures !== size) {
      throw new TenonError("DIMS_MISMATCH", {
        problem: `${dense.from} does not take vectors of this size`,
        given: String(size),
        expected: `${dense.inFeatures}, its in_features`,
      });
    }
    size = dense.outFeatures;
  }
  return size;
}

/** Inputs `hidden` [batch, sequence, size] and the mask, int64 [batch, sequence]; output `sentence_embedding` [batch, dims]. */
export async function tailOf(card: ModelCard, options: TailOptions): Promise<OnnxModel> {
  const { opset, size, half } = options;
  const g = graph({ opset });
  const hidden = g.input("hidden", half ? "float16" : "float32", ["batch", "sequence", size]);
  const mask = g.input(options.mask, "int64", ["batch", "sequence"]);
  const from = new PoolingInputs(g, half ? g.add("Cast", [hidden], { to: 1 }) : hidden, mask);
  const pooled = card.pooling.value.map((mode) => POOLING_RULES[mode](from));
  let x = pooled.length === 1 ? pooled[0]! : g.add("Concat", pooled, { axis: 1 });
  for (const [at, dense] of card.dense.entries()) x = await denseIn(g, x, dense, `dense.${at}`);
  const full = vectorSize(card, size);
  const dims = options.dims ?? full;
  if (dims < full) x = g.add("Slice", [x, from.ints(0), from.ints(dims), from.ints(1)]);
  if (card.normalize.value) {
    const norm = g.add("ReduceL2", [x, from.ints(1)], { keepdims: 1 });
    x = g.add("Div", [x, from.atLeast(norm, 1e-12)]);
  }
  const { value, dtype, width } = typed(g, x, dims, options.output, from);
  g.output(value, EMBEDDING, { kind: "tensor", dtype, shape: ["batch", width] });
  return g.model();
}

async function denseIn(g: GraphBuilder, x: string, dense: DenseModule, name: string): Promise<string> {
  const { materialize, openWeights } = await import("../../torch/index.js");
  const { tensors } = await openWeights(dense.folder);
  const weightOf = (key: string, shape: readonly number[]): string => {
    const ref = tensors.get(key);
    if (ref === undefined || ref.shape.join() !== shape.join()) {
      throw new TenonError("FILE_INVALID", {
        problem: `the weights of ${dense.from} do not fit`,
        given: ref === undefined ? `no "${key}"` : `"${key}" [${ref.shape.join(", ")}]`,
        expected: `"${key}" [${shape.join(", ")}]`,
      });
    }
    const values = materialize(ref);
    return g.initializer(`${name}.${key}`, cast(values, "float32"));
  };
  const inputs = [x, weightOf("linear.weight", [dense.outFeatures, dense.inFeatures])];
  if (dense.bias) inputs.push(weightOf("linear.bias", [dense.outFeatures]));
  return ACTIVATION[dense.activation](g, g.add("Gemm", inputs, { transB: 1 }));
}

type OutputDType = "float32" | "float16" | "int8" | "uint8";

function typed(
  g: GraphBuilder,
  x: string,
  dims: number,
  output: OutputType,
  from: PoolingInputs,
): { readonly value: string; readonly dtype: OutputDType; readonly width: number } {
  if (output === "float16") return { value: g.add("Cast", [x], { to: 10 }), dtype: "float16", width: dims };
  // int8 needs the range of every dimension, which the vectors of a call tell.
  if (output === "float32" || output === "int8") return { value: x, dtype: "float32", width: dims };
  const width = Math.ceil(dims / 8);
  const bits = g.add("Cast", [g.add("Greater", [x, from.number(0)])], { to: 1 });
  const even = dims % 8 === 0 ? bits : g.add("Pad", [bits, from.ints(0, 0, 0, width * 8 - dims)]);
  const bytes = g.add("Reshape", [even, from.ints(-1, width, 8)]);
  const places = g.initializer("output.places", tensor([128, 64, 32, 16, 8, 4, 2, 1], { dtype: "float32" }));
  const packed = g.add("MatMul", [bytes, places]);
  if (output === "ubinary") return { value: g.add("Cast", [packed], { to: 2 }), dtype: "uint8", width };
  const shifted = g.add("Sub", [packed, from.number(128)]);
  return { value: g.add("Cast", [shifted], { to: 3 }), dtype: "int8", width };
}
