/** Renaming of values in nodes and, since inner graphs see outer names, in their subgraphs. */
import { type Attr, type Graph, makeGraph, mapGraphs, type Node } from "./graph.js";

/** The node with every value name mapped, inputs and outputs, at all depths. The same node when nothing changes. */
export function renameUses(node: Node, rename: (name: string) => string): Node {
  const inputs = mapSame(node.inputs, rename);
  const outputs = mapSame(node.outputs, rename);
  let attrs = node.attrs;
  for (const [name, attr] of node.attrs) {
    const renamed = renameAttr(attr, rename);
    if (renamed === attr) continue;
    if (attrs === node.attrs) attrs = new Map(node.attrs);
    (attrs as Map<string, Attr>).set(name, renamed);
  }
  if (inputs === node.inputs && outputs === node.outputs && attrs === node.attrs) return node;
  return Object.freeze({ ...node, inputs, outputs, attrs });
}

function renameAttr(attr: Attr, rename: (name: string) => string): Attr {
  if (attr.kind === "graph") {
    const value = renameInGraph(attr.value, rename);
    return value === attr.value ? attr : Object.freeze({ ...attr, value });
  }
  if (attr.kind === "graphs") {
    const value = mapSame(attr.value, (graph) => renameInGraph(graph, rename));
    return value === attr.value ? attr : Object.freeze({ ...attr, value });
  }
  return attr;
}

/** Names that the inner graph defines itself are left alone: they cannot be those of an outer value. */
function renameInGraph(graph: Graph, rename: (name: string) => string): Graph {
  const nodes = mapSame(graph.nodes, (node) => renameUses(node, rename));
  const outputs = mapSame(graph.outputs, (output) => {
    const name = rename(output.name);
    return name === output.name ? output : Object.freeze({ ...output, name });
  });
  return nodes === graph.nodes && outputs === graph.outputs ? graph : makeGraph({ ...graph, nodes, outputs });
}

/** `items.map(change)`, but the array itself when no item changed. */
function mapSame<T>(items: readonly T[], change: (item: T) => T): readonly T[] {
  let changed: T[] | undefined;
  items.forEach((item, i) => {
    const next = change(item);
    if (next === item) return;
    changed ??= [...items];
    changed[i] = next;
  });
  return changed ?? items;
}

/** The node with every value name mapped, also those that its inner graphs define: for bodies that move elsewhere. */
export function renameAll(node: Node, rename: (name: string) => string): Node {
  const whole = (name: string): string => (name === "" ? "" : rename(name));
  const attrs = mapGraphs(node.attrs, (graph) => renameGraph(graph, whole));
  return Object.freeze({ ...node, inputs: node.inputs.map(whole), outputs: node.outputs.map(whole), attrs });
}

/** A graph with every name mapped, at all depths. */
export function renameGraph(graph: Graph, rename: (name: string) => string): Graph {
  const value = <V extends { readonly name: string }>(each: V): V => ({ ...each, name: rename(each.name) });
  const keys = <V>(map: ReadonlyMap<string, V>): Map<string, V> =>
    new Map([...map].map(([name, each]) => [rename(name), each]));
  return makeGraph({
    ...graph,
    inputs: graph.inputs.map(value),
    outputs: graph.outputs.map(value),
    nodes: graph.nodes.map((node) => renameAll(node, rename)),
    initializers: keys(graph.initializers),
    sparseInitializers: keys(graph.sparseInitializers),
    valueInfo: new Map([...graph.valueInfo.values()].map((each) => [rename(each.name), value(each)])),
  });
}
