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

/** Ops through which weights reach their place: moved, cut, or joined with others. */
const MOVES: ReadonlySet<string> = new Set([
  "Transpose",
  "Reshape",
  "Identity",
  "Unsqueeze",
  "Squeeze",
  "Flatten",
  "Slice",
  "Split",
  "Concat",
]);

/** Names that exporters give to constants which are no parameters, and those of tables and masks. */
const NO_PARAMETER =
  /^\/|^_?val_\d|^const|^_tensor_constant|(^|[._/])(inv_freq|(cos|sin)_?(cached|table)?|masked_bias|attn_mask|mask|causal_mask|position_ids|freqs(_cis)?)(_\d+)?$/i;
/** Constants that a converter made up, wherever they stand. */
const MADE_UP = /^const:/;
const NAMED_LIKE_ONE = /(weight|bias|scale|gamma|beta)$/i;

/** Places of weights that a node has. */
function placesOf(node: Node): number[] {
  const places = node.domain === "" ? PLACES[node.op] : undefined;
  if (places === undefined) return [];
  if (!("from" in places)) return [...places];
  return node.inputs.map((_, i) => i).filter((i) => i >= places.from);
}

/** Names of the float32 constants that are parameters, in the order of the graph. */
export function parametersOf({ graph }: OnnxModel): string[] {
  const origins = originsOf(graph);
  const found = new Set<string>();
  const doubtful = new Set<string>();
  for (const node of graph.nodes) {
    const kind = ARITHMETIC.has(node.op) ? doubtful : found;
    for (const place of placesOf(node))
      for (const name of origins.get(node.inputs[place] ?? "") ?? []) kind.add(name);
  }
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const isParameter = ([name, data]: readonly [string, TensorData]): boolean => {
    if (inputs.has(name) || data.dtype !== "float32" || data.dims.length === 0 || MADE_UP.test(name))
      return false;
    if (found.has(name)) return true;
    const single = data.dims.every((dim) => dim === 1);
    return doubtful.has(name) && !NO_PARAMETER.test(name) && (!single || NAMED_LIKE_ONE.test(name));
  };
  return [...graph.initializers].filter(isParameter).map(([name]) => name);
}

/** The float constants that a value is made of, where it is nothing but constants moved, cut and joined. */
export function originsOf(graph: Graph): ReadonlyMap<string, readonly string[]> {
  const origins = new Map([...graph.initializers.keys()].map((name) => [name, [name]]));
  for (const node of graph.nodes) {
    if (node.domain !== "" || !MOVES.has(node.op)) continue;
    const moved = node.op === "Concat" ? node.inputs : node.inputs.slice(0, 1);
    const from = moved.map((name) => origins.get(name));
    if (!from.every((names) => names !== undefined)) continue;
    for (const output of node.outputs) origins.set(output, [...new Set(from.flat())]);
  }
  return origins;
}
