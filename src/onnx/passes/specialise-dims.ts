/** specialise-dims: symbols of declared shapes become sizes (`{ N: 8 }`), also inside expressions (`2*N+1`). */
import { suggest, TenonError } from "../../base/index.js";
import { type Graph, makeGraph, mapGraphs, type Value, type ValueType } from "../graph.js";
import { substitute } from "../infer/dim.js";
import { type Pass, withGraph } from "../pass.js";

/**
 * Throws USAGE for a symbol that no input declares, or a size that is none. `infer` afterwards finds what follows.
 */
export function specialiseDims(sizes: Readonly<Record<string, number>>): Pass {
  const map = new Map(Object.entries(sizes));
  return {
    name: "specialise-dims",
    apply: (model) => {
      const symbols = new Set(model.graph.inputs.flatMap(({ type }) => symbolsOf(type)));
      for (const [symbol, size] of map) {
        if (symbols.has(symbol) && Number.isSafeInteger(size) && size >= 0) continue;
        throw new TenonError("USAGE", {
          problem: symbols.has(symbol) ? `the size of ${symbol} is none` : "no input has a dim of this name",
          given: symbols.has(symbol) ? String(size) : symbol,
          expected: symbols.has(symbol) ? "an integer ≥ 0" : suggest(symbol, [...symbols]),
        });
      }
      return withGraph(model, inGraph(model.graph, map));
    },
  };
}

function symbolsOf(type: ValueType | undefined): string[] {
  if (type?.kind !== "tensor") return [];
  return (type.shape ?? []).flatMap((dim) => (typeof dim === "string" ? [dim] : []));
}

function inGraph(graph: Graph, sizes: ReadonlyMap<string, number>): Graph {
  const value = (each: Value): Value => {
    const type = each.type === undefined ? undefined : inType(each.type, sizes);
    return type === undefined || type === each.type ? each : Object.freeze({ ...each, type });
  };
  return makeGraph({
    ...graph,
    inputs: graph.inputs.map(value),
    outputs: graph.outputs.map(value),
    valueInfo: new Map([...graph.valueInfo].map(([name, each]) => [name, value(each)])),
    nodes: graph.nodes.map((node) => {
      const attrs = mapGraphs(node.attrs, (inner) => inGraph(inner, sizes));
      return attrs === node.attrs ? node : Object.freeze({ ...node, attrs });
    }),
  });
}

function inType(type: ValueType, sizes: ReadonlyMap<string, number>): ValueType {
  if (type.kind === "sequence" || type.kind === "optional") {
    return type.element === null ? type : { kind: type.kind, element: inType(type.element, sizes) };
  }
  if ((type.kind !== "tensor" && type.kind !== "sparse") || type.shape === undefined) return type;
  const shape = type.shape.map((dim) => substitute(dim, sizes));
  return shape.every((dim, i) => dim === type.shape![i])
    ? type
    : { kind: type.kind, dtype: type.dtype, shape };
}
