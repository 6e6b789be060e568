/** Which constants of a foreign graph are parameters: float32 arrays in the places where ops have weights. */
import type { Graph, Node, OnnxModel, TensorData } from "../../onnx/index.js";

/** Inputs of ops that are weights in the models that exporters write; `from`: and all behind. */
const PLACES: Readonly<Record<string, readonly number[] | { readonly from: number }>> = {
  MatMul: [0, 1],
  Gemm: [0, 1, 2],
  Conv: { from: 1 },
  ConvTranspose: { from: 1 },
  Gather: [0],
  LayerNormalization: { from: 1 },
  BatchNormalization: [1, 2],
  InstanceNormalization: { from: 1 },
  GroupNormalization: { from: 1 },
  RMSNormalization: { from: 1 },
  PRelu: [1],
  LSTM: [1, 2, 3, 7],
  GRU: [1, 2, 3],
  RNN: [1, 2, 3],
  Einsum: { from: 0 },
  Add: [0, 1],
  Sub: [0, 1],
  Mul: [0, 1],
  Div: [1],
};

/** Ops of elementwise arithmetic, in which a graph's constants of other kinds (tables, masks) stand as well. */
const ARITHMETIC: ReadonlySet<string> = new Set(["Add", "Sub", "Mul", "Div", "Gather"]);

/** Ops through which a weight reaches its place. */
const MOVES: ReadonlySet<string> = new Set([
  "Transpose",
  "Reshape",
  "Identity",
  "Unsqueeze",
  "Squeeze",
  "Flatten",
]);

/** Names that exporters give to constants which are no parameters, and those of tables and masks. */
const NO_PARAMETER =
  /^\/|^_?val_\d|^const|^_tensor_constant|(^|[._/])(inv_freq|(cos|sin)_?(cached|table)?|masked_bias|attn_mask|mask|causal_mask|position_ids|freqs(_cis)?)(_\d+)?$/i;

/** Places of weights that a node has. */
function placesOf(node: Node): number[] {
  const places = node.domain === "" ? PLACES[node.op] : undefined;
  if (places === undefined) return [];
  if (!("from" in places)) return [...places];
  return node.inputs.map((_, i) => i).filter((i) => i >= places.from);
}

/** Names of the float32 constants that are parameters, in the order of the graph. */
export function parametersOf({ graph }: OnnxModel): string[] {
  const origin = originsOf(graph);
  const found = new Set<string>();
  const doubtful = new Set<string>();
  for (const node of graph.nodes) {
    for (const place of placesOf(node)) {
      const name = origin.get(node.inputs[place] ?? "");
      if (name === undefined) continue;
      if (ARITHMETIC.has(node.op)) doubtful.add(name);
      else found.add(name);
    }
  }
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  return [...graph.initializers]
    .filter(([name, data]) => !inputs.has(name) && isArray(data))
    .map(([name]) => name)
    .filter((name) => found.has(name) || (doubtful.has(name) && !NO_PARAMETER.test(name)));
}

function isArray({ dtype, dims }: TensorData): boolean {
  return dtype === "float32" && dims.length > 0 && dims.reduce((product, dim) => product * dim, 1) > 1;
}

/** The constant that a value is, moved or as it is. */
export function originsOf(graph: Graph): ReadonlyMap<string, string> {
  const origin = new Map([...graph.initializers.keys()].map((name) => [name, name]));
  for (const node of graph.nodes) {
    const from = origin.get(node.inputs[0] ?? "");
    if (from !== undefined && node.domain === "" && MOVES.has(node.op)) origin.set(node.outputs[0]!, from);
  }
  return origin;
}
