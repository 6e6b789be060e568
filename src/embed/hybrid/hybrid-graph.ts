/** The graph of a model with three kinds of vectors (BGE-M3): the pooled one, a weight and a vector for each token. */
import { join } from "node:path";
import { TenonError } from "../../base/index.js";
import { appendGraph, type GraphBuilder, graph, type OnnxModel, removeDead, run } from "../../onnx/index.js";
import { type Tensor, tensor } from "../../tensor/core.js";
import type { ModelCard } from "../card/card.js";
import { isFile } from "../card/files.js";
import { hiddenStates, onlyOutputs } from "../graph/body.js";
import { denseGraph } from "../graph/dense.js";
import type { TokenInput } from "../graph/names.js";
import { EMBEDDING } from "../graph/names.js";
import { layerWeight } from "../graph/weight.js";

/**
 * Name of the output, [batch, dims + sequence * (1 + multiDims)]: the pooled vector, then for each token its weight and its
 * vector. One output, so that a run gives all three and a row is a text.
 */
export const HYBRID = "hybrid_embedding";

const SPARSE_FILE = "sparse_linear.pt";
const MULTI_FILE = "colbert_linear.pt";

export interface HybridGraph {
  readonly model: OnnxModel;
  readonly inputs: readonly TokenInput[];
  readonly poolingMask: boolean;
  readonly rows: number | undefined;
  /** Numbers of the pooled vector. */
  readonly dims: number;
  /** Numbers of a token's vector. */
  readonly multiDims: number;
}

/** Throws MODEL_INCOMPLETE without the layers' files, FILE_INVALID, DIMS_MISMATCH, and what `denseGraph` throws. */
export async function hybridGraph(card: ModelCard): Promise<HybridGraph> {
  const missing = [SPARSE_FILE, MULTI_FILE].filter((name) => !isFile(join(card.folder, name)));
  if (missing.length > 0) {
    throw new TenonError("MODEL_INCOMPLETE", {
      problem: "the folder lacks layers that make weights and vectors of tokens",
      given: `no ${missing.join(", no ")} in ${card.folder}`,
      expected: `${SPARSE_FILE} and ${MULTI_FILE} beside the model, as in BGE-M3`,
      do: "embedder gives the pooled vectors alone",
    });
  }
  const dense = await denseGraph(card, {
    dims: undefined,
    output: "float32",
    tokenOutputs: true,
    quant: "none",
    weightRoom: "half",
  });
  const { name, size, half } = hiddenStates(dense.model, card.config);
  const sparse = await linearIn(card.folder, SPARSE_FILE, size);
  if (sparse.to !== 1) {
    throw new TenonError("DIMS_MISMATCH", {
      problem: `${SPARSE_FILE} does not make one weight of a token`,
      given: String(sparse.to),
      expected: "1",
    });
  }
  const multi = await linearIn(card.folder, MULTI_FILE, size);
  const g = graph({ opset: dense.model.opsets.get("") ?? 20 });
  const pooled = g.input("pooled", "float32", ["batch", dense.dims]);
  const states = g.input("hidden", half ? "float16" : "float32", ["batch", "sequence", size]);
  const hidden = half ? g.add("Cast", [states], { to: 1 }) : states;
  const ints = (label: string, ...values: bigint[]): string =>
    g.initializer(label, tensor(values, { dtype: "int64" }));
  const weights = g.add("Relu", [applied(g, hidden, sparse, "sparse")]);
  const vectors = applied(g, hidden, multi, "multi");
  const norm = g.add("ReduceL2", [vectors, ints("last", -1n)], { keepdims: 1 });
  const least = g.initializer("least", tensor(1e-12, { dtype: "float32" }));
  const unit = g.add("Div", [vectors, g.add("Max", [norm, least])]);
  const tokens = g.add("Concat", [weights, unit], { axis: 2 });
  const flat = g.add("Reshape", [tokens, ints("flat", 0n, -1n)]);
  const row = g.add("Concat", [pooled, flat], { axis: 1 });
  g.output(row, HYBRID, { kind: "tensor", dtype: "float32", shape: ["batch", "row"] });
  const model = run(dense.model, [
    appendGraph(g.model(), { hidden: name, pooled: EMBEDDING }, {}),
    onlyOutputs(HYBRID),
    removeDead,
  ]);
  const { inputs, poolingMask, rows, dims } = dense;
  return { model, inputs, poolingMask, rows, dims, multiDims: multi.to };
}

interface Linear {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly to: number;
}

async function linearIn(folder: string, file: string, size: number): Promise<Linear> {
  const path = join(folder, file);
  const weight = await layerWeight(path, "weight", 2, file);
  const bias = await layerWeight(path, "bias", 1, file);
  const [to, from] = weight.shape as readonly [number, number];
  if (from !== size || bias.shape[0] !== to) {
    throw new TenonError("DIMS_MISMATCH", {
      problem: `${file} does not fit the model`,
      given: `weight [${to}, ${from}], bias [${bias.shape[0]}]`,
      expected: `weight [n, ${size}], bias [n]`,
    });
  }
  return { weight, bias, to };
}

function applied(g: GraphBuilder, x: string, { weight, bias }: Linear, name: string): string {
  const turned = g.add("Transpose", [g.initializer(`${name}.weight`, weight)], { perm: [1, 0] });
  return g.add("Add", [g.add("MatMul", [x, turned]), g.initializer(`${name}.bias`, bias)]);
}
