/** Renaming of values in nodes and, since inner graphs see outer names, in their subgraphs. */
import { type Attr, type Graph, makeGraph, type Node } from "./graph.js";

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
