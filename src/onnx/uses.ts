/** Which values a node, a graph and its subgraphs use and define; positions of producers and consumers. */
import { type Graph, type Node, subgraphsOf } from "./graph.js";

/** Every value that a node needs before it can run: its inputs, and what its subgraphs take from outside. */
export function usesOf(node: Node): Set<string> {
  const uses = new Set(node.inputs);
  uses.delete("");
  for (const graph of subgraphsOf(node)) for (const name of freeNamesOf(graph)) uses.add(name);
  return uses;
}

const freeNames = new WeakMap<Graph, ReadonlySet<string>>();

/** Names that a subgraph uses and does not define. Computed once per graph object. */
function freeNamesOf(graph: Graph): ReadonlySet<string> {
  const known = freeNames.get(graph);
  if (known !== undefined) return known;
  const defined = new Set([...graph.initializers.keys(), ...graph.sparseInitializers.keys()]);
  for (const input of graph.inputs) defined.add(input.name);
  const free = new Set<string>();
  for (const node of graph.nodes) {
    for (const name of usesOf(node)) if (!defined.has(name)) free.add(name);
    for (const name of node.outputs) defined.add(name);
  }
  for (const output of graph.outputs) if (!defined.has(output.name)) free.add(output.name);
  freeNames.set(graph, free);
  return free;
}

export interface GraphIndex {
  /** The node that computes a value. */
  readonly producers: ReadonlyMap<string, Node>;
  /** The nodes that use a value, in order; a node that uses it inside a subgraph counts. */
  readonly consumers: ReadonlyMap<string, readonly Node[]>;
}

const indexes = new WeakMap<Graph, GraphIndex>();

/** Producers and consumers of a graph's values. Computed once per graph object. */
export function indexOf(graph: Graph): GraphIndex {
  const known = indexes.get(graph);
  if (known !== undefined) return known;
  const producers = new Map<string, Node>();
  const consumers = new Map<string, Node[]>();
  for (const node of graph.nodes) {
    for (const name of usesOf(node)) {
      const list = consumers.get(name);
      if (list === undefined) consumers.set(name, [node]);
      else list.push(node);
    }
    for (const name of node.outputs) if (name !== "") producers.set(name, node);
  }
  const index = { producers, consumers };
  indexes.set(graph, index);
  return index;
}

/** Every name that a graph or one of its subgraphs defines or uses. */
export function allNamesOf(graph: Graph): Set<string> {
  const names = new Set<string>([...graph.initializers.keys(), ...graph.sparseInitializers.keys()]);
  for (const value of [...graph.inputs, ...graph.outputs]) names.add(value.name);
  for (const node of graph.nodes) {
    for (const name of node.inputs) names.add(name);
    for (const name of node.outputs) names.add(name);
    for (const inner of subgraphsOf(node)) for (const name of allNamesOf(inner)) names.add(name);
  }
  return names;
}

/**
 * Nodes in an order in which every value is defined before it is used, as close to the given one as that allows.
 * Nodes that wait for something that never comes keep their place at the end, for `check` to name them.
 */
export function inTopologicalOrder(nodes: readonly Node[]): Node[] {
  const made = new Set<string>();
  for (const node of nodes) for (const name of node.outputs) made.add(name);
  made.delete("");
  const ordered: Node[] = [];
  const waiting = new Map<string, Node[]>();
  for (const first of nodes) {
    // A list of its own, not recursion: a chain of waiting nodes may be longer than the call stack is deep.
    const released = [first];
    for (let next = released.pop(); next !== undefined; next = released.pop()) {
      const missing = [...usesOf(next)].find((name) => made.has(name));
      if (missing !== undefined) {
        waiting.set(missing, [...(waiting.get(missing) ?? []), next]);
        continue;
      }
      ordered.push(next);
      for (const name of next.outputs) {
        made.delete(name);
        released.push(...(waiting.get(name)?.reverse() ?? []));
        waiting.delete(name);
      }
    }
  }
  return [...ordered, ...[...waiting.values()].flat()];
}
