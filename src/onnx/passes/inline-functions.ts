/** inline-functions: calls of local functions give way to their bodies, until the model has none. */
import { TenonError } from "../../base/index.js";
import {
  type Attr,
  type FunctionDef,
  functionKey,
  type Graph,
  type Model,
  makeGraph,
  makeNode,
  mapGraphs,
  type Node,
} from "../graph.js";
import type { Pass } from "../pass.js";
import { renameAll } from "../rename.js";
import { joinOpsets } from "../same-rows.js";
import { allNamesOf } from "../uses.js";

const DEFAULT_MOST_NODES = 100_000;

export interface InlineOptions {
  /** Nodes that the result may have; functions that call others twice grow without bound. Default 100,000. */
  readonly maxNodes?: number;
}

/** Everything that one run of the pass shares. */
interface State {
  readonly model: Model;
  readonly prefixes: ReadonlySet<string>;
  readonly most: number;
  opsets: ReadonlyMap<string, number>;
  nodes: number;
  calls: number;
}

/**
 * Names of a body get the prefix of its call (`Gelu_3_`); `ref_attr_name` becomes the call's attribute or the
 * function's default. Throws MODEL_UNSUPPORTED beyond `maxNodes`, and for a body whose opset means something else by
 * one of its ops.
 */
export function inlineFunctions(options: InlineOptions = {}): Pass {
  return {
    name: "inline-functions",
    apply: (model) => {
      if (model.functions.size === 0) return model;
      const state: State = {
        model,
        prefixes: prefixesOf(allNamesOf(model.graph)),
        most: options.maxNodes ?? DEFAULT_MOST_NODES,
        opsets: model.opsets,
        nodes: 0,
        calls: 0,
      };
      const graph = inGraph(model.graph, state);
      return Object.freeze({ ...model, graph, opsets: withoutUnused(state), functions: new Map() });
    },
  };
}

/** Domains that held nothing but functions are imported no more. */
function withoutUnused({ opsets, model }: State): ReadonlyMap<string, number> {
  const ofFunctions = new Set([...model.functions.values()].map(({ domain }) => domain));
  return new Map([...opsets].filter(([domain]) => domain === "" || !ofFunctions.has(domain)));
}

function inGraph(graph: Graph, state: State): Graph {
  return makeGraph({ ...graph, nodes: graph.nodes.flatMap((node) => inNode(node, state)) });
}

function inNode(node: Node, state: State): Node[] {
  const fn = state.model.functions.get(functionKey(node));
  if (fn !== undefined) return bodyOf(node, fn, state).flatMap((each) => inNode(each, state));
  if (++state.nodes > state.most) {
    throw new TenonError("MODEL_UNSUPPORTED", {
      problem: "the functions of the model grow too large when they are written out",
      given: `more than ${state.most} nodes`,
      do: "raise maxNodes",
    });
  }
  const attrs = mapGraphs(node.attrs, (inner) => inGraph(inner, state));
  return [attrs === node.attrs ? node : Object.freeze({ ...node, attrs })];
}

/** The body of one call, under names of the call. */
function bodyOf(call: Node, fn: FunctionDef, state: State): Node[] {
  state.opsets = joinOpsets({ ...state.model, opsets: state.opsets }, fn.nodes, fn.opsets);
  const prefix = freshPrefix(fn.name, state);
  const names = new Map<string, string>();
  fn.inputs.forEach((name, i) => void names.set(name, call.inputs[i] ?? ""));
  const copies: Node[] = [];
  fn.outputs.forEach((name, i) => {
    const output = call.outputs[i] ?? "";
    if (output === "") return;
    // An output that is an input, or was named before, needs a node of its own.
    if (names.has(name))
      copies.push(makeNode({ op: "Identity", inputs: [names.get(name)!], outputs: [output] }));
    else names.set(name, output);
  });
  const rename = (name: string): string => {
    const known = names.get(name);
    if (known !== undefined) return known;
    const fresh = `${prefix}${name}`;
    names.set(name, fresh);
    return fresh;
  };
  const attrs = new Map([...fn.attributeDefaults, ...call.attrs]);
  const body = fn.nodes.map((node) => {
    const renamed = renameAll(withAttrs(node, attrs), rename);
    return Object.freeze({ ...renamed, name: node.name === "" ? "" : `${prefix}${node.name}` });
  });
  return [...body, ...copies];
}

/** A prefix with which no name of the model begins. */
function freshPrefix(name: string, state: State): string {
  for (;;) {
    const prefix = `${name}_${state.calls++}_`;
    if (!state.prefixes.has(prefix)) return prefix;
  }
}

/** Beginnings of names that a prefix could be: up to each underscore. */
function prefixesOf(names: Iterable<string>): Set<string> {
  const prefixes = new Set<string>();
  for (const name of names) {
    for (let at = name.indexOf("_"); at >= 0; at = name.indexOf("_", at + 1))
      prefixes.add(name.slice(0, at + 1));
  }
  return prefixes;
}

/** The node with the call's attributes in place of references, at all depths; one that is not given is left out. */
function withAttrs(node: Node, given: ReadonlyMap<string, Attr>): Node {
  const attrs = new Map<string, Attr>();
  for (const [name, attr] of node.attrs) {
    const own = attr.kind === "reference" ? given.get(attr.to) : attr;
    if (own !== undefined) attrs.set(name, own);
  }
  const inner = (graph: Graph): Graph =>
    makeGraph({ ...graph, nodes: graph.nodes.map((each) => withAttrs(each, given)) });
  return Object.freeze({ ...node, attrs: mapGraphs(attrs, inner) });
}
