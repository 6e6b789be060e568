/** takeTransposed: products with a transposed weight read it as it lies, by ONNX Runtime's own op for that. */
import { type Model, makeNode, type Node } from "../graph.js";
import { type Pass, withGraph } from "../pass.js";

const DOMAIN = "com.microsoft";

/**
 * `MatMul(x, Transpose(W))` of a float32 weight of rank 2 becomes `FusedMatMul(x, W, transB=1)` of `com.microsoft`.
 * For graphs that run without being optimised: each run would copy the weights otherwise. Only the graph itself is
 * changed, no inner one.
 */
export const takeTransposed: Pass = {
  name: "take-transposed",
  apply: (model) => {
    const transposed = transposedWeights(model);
    if (transposed.size === 0 || (model.opsets.get(DOMAIN) ?? 1) !== 1) return model;
    let changed = false;
    const nodes = model.graph.nodes.map((node) => {
      const weight = node.op === "MatMul" && node.domain === "" && transposed.get(node.inputs[1] ?? "");
      if (!weight) return node;
      changed = true;
      const attrs = new Map([["transB", { kind: "int", value: 1 } as const]]);
      const inputs = [node.inputs[0]!, weight];
      return makeNode({ ...node, op: "FusedMatMul", domain: DOMAIN, inputs, attrs });
    });
    if (!changed) return model;
    const unused = unusedAmong(transposed, nodes, model);
    const graph = { ...model.graph, nodes: nodes.filter(({ outputs }) => !unused.has(outputs[0] ?? "")) };
    return { ...withGraph(model, Object.freeze(graph)), opsets: new Map(model.opsets).set(DOMAIN, 1) };
  },
};

/** Weights by the name of their transposed value. */
function transposedWeights({ graph }: Model): ReadonlyMap<string, string> {
  const inputs = new Set(graph.inputs.map(({ name }) => name));
  const found = new Map<string, string>();
  for (const { op, domain, inputs: from, outputs, attrs } of graph.nodes) {
    const [weight = ""] = from;
    const data = op === "Transpose" && domain === "" ? graph.initializers.get(weight) : undefined;
    if (data?.dtype !== "float32" || data.dims.length !== 2 || inputs.has(weight)) continue;
    const perm = attrs.get("perm");
    if (perm === undefined || (perm.kind === "ints" && Number(perm.value[0]) === 1))
      found.set(outputs[0]!, weight);
  }
  return found;
}

function unusedAmong(
  values: ReadonlyMap<string, string>,
  nodes: readonly Node[],
  { graph }: Model,
): Set<string> {
  // Inner graphs name values of the outer one as they like; where there are any, nothing is dropped.
  const hasInner = nodes.some(({ attrs }) => [...attrs.values()].some(({ kind }) => /^graphs?$/.test(kind)));
  if (hasInner) return new Set();
  const unused = new Set(values.keys());
  for (const { inputs } of nodes) for (const name of inputs) unused.delete(name);
  for (const { name } of graph.outputs) unused.delete(name);
  return unused;
}
