/** Patch: a set of edits on one graph, applied together to make a new graph. The only way in which graphs change. */
import type { Tensor } from "../tensor/index.js";
import { type AttrInput, toAttrs } from "./attr-input.js";
import {
  type Graph,
  makeGraph,
  makeNode,
  type Node,
  normalizeDomain,
  type TensorData,
  type Value,
  type ValueType,
} from "./graph.js";
import { renameUses } from "./rename.js";
import { tensorData } from "./tensor-data.js";
import { allNamesOf, inTopologicalOrder } from "./uses.js";

export interface AddNodeOptions {
  /** Number of outputs, or their names; default 1. */
  readonly outputs?: number | readonly string[];
  readonly name?: string;
  readonly domain?: string;
  /** The new node stands behind this one; default: as early as its inputs allow, at the end of the graph. */
  readonly after?: Node;
}

/**
 * Collects edits; the graph it was made for never changes. `opsets` (the model's) decide the kinds of attributes.
 * Nodes are named by the objects of the graph that was given. `names` are those that are taken, when they are more
 * than the graph's own (the patch adds to them).
 */
export class Patch {
  readonly #graph: Graph;
  readonly #opsets: ReadonlyMap<string, number>;
  readonly #names: Set<string>;
  readonly #added: Node[] = [];
  readonly #addedAfter = new Map<Node, Node[]>();
  readonly #removed = new Set<Node>();
  readonly #inputs = new Map<Node, Map<number, string>>();
  readonly #uses = new Map<string, string>();
  readonly #renamed = new Map<string, string>();
  readonly #types = new Map<string, ValueType>();
  readonly #initializers: Map<string, TensorData>;

  constructor(graph: Graph, opsets: ReadonlyMap<string, number>, names: Set<string> = allNamesOf(graph)) {
    this.#graph = graph;
    this.#opsets = opsets;
    this.#names = names;
    this.#initializers = new Map(graph.initializers);
  }

  /** Adds a node; returns the names of its outputs, made fresh where they are not given. */
  addNode(
    op: string,
    inputs: readonly string[],
    attrs: Readonly<Record<string, AttrInput | undefined>> = {},
    options: AddNodeOptions = {},
  ): string[] {
    const domain = normalizeDomain(options.domain ?? "");
    const given = options.outputs ?? 1;
    const outputs =
      typeof given === "number" ? Array.from({ length: given }, () => this.#fresh(op)) : [...given];
    for (const name of outputs) this.#names.add(name);
    const node = makeNode({
      op,
      domain,
      name: options.name ?? "",
      inputs: [...inputs],
      outputs,
      attrs: toAttrs(op, domain, this.#opsets.get(domain) ?? 1, attrs),
    });
    if (options.after === undefined) this.#added.push(node);
    else this.#addedAfter.set(options.after, [...(this.#addedAfter.get(options.after) ?? []), node]);
    return outputs;
  }

  /** Adds a constant; returns its name, which is made unique. */
  addInitializer(name: string, data: TensorData | Tensor): string {
    const unique = this.#names.has(name) ? this.#fresh(name) : name;
    this.#names.add(unique);
    this.#initializers.set(unique, "payload" in data ? { ...data, name: unique } : tensorData(data, unique));
    return unique;
  }

  removeInitializer(name: string): void {
    this.#initializers.delete(name);
  }

  /** Nodes of the given graph (not those that this patch adds) use `value` instead of `old`; graph outputs stay. */
  replaceUses(old: string, value: string): void {
    this.#uses.set(old, value);
  }

  /** Removes a node. Its outputs must have no use left, or get a new producer in this patch. */
  removeNode(node: Node): void {
    this.#removed.add(node);
  }

  /** Gives a value another name, everywhere; an input or output of the graph gets it too. */
  renameValue(old: string, name: string): void {
    this.#renamed.set(old, name);
    this.#names.add(name);
  }

  setInput(node: Node, index: number, value: string): void {
    const inputs = this.#inputs.get(node) ?? new Map<number, string>();
    inputs.set(index, value);
    this.#inputs.set(node, inputs);
  }

  /** Declares the type of a value (by its name after this patch). */
  setType(name: string, type: ValueType): void {
    this.#types.set(name, type);
  }

  /** The new graph: nodes keep their order as far as the edits allow. It is not checked here; `run` does that. */
  apply(): Graph {
    const rename = (name: string): string => this.#renamed.get(name) ?? name;
    const nodes: Node[] = [];
    for (const node of this.#graph.nodes) {
      if (!this.#removed.has(node)) nodes.push(this.#edited(node));
      nodes.push(...(this.#addedAfter.get(node) ?? []));
    }
    nodes.push(...this.#added);
    const renamed = this.#renamed.size === 0 ? nodes : nodes.map((node) => renameUses(node, rename));
    const initializers = [...this.#initializers].map(([name, data]): [string, TensorData] => [
      rename(name),
      data,
    ]);
    return makeGraph({
      ...this.#graph,
      inputs: this.#graph.inputs.map((value) => this.#value(value)),
      outputs: this.#graph.outputs.map((value) => this.#value(value)),
      nodes: inTopologicalOrder(renamed),
      initializers: new Map(initializers),
      valueInfo: this.#valueInfo(renamed),
    });
  }

  #edited(node: Node): Node {
    const byUse = this.#uses.size === 0 ? node : renameInputs(node, (name) => this.#uses.get(name) ?? name);
    const set = this.#inputs.get(node);
    if (set === undefined) return byUse;
    const inputs = [...byUse.inputs];
    for (const [index, value] of set) {
      while (inputs.length < index) inputs.push("");
      inputs[index] = value;
    }
    return Object.freeze({ ...byUse, inputs });
  }

  #value(value: Value): Value {
    const name = this.#renamed.get(value.name) ?? value.name;
    const type = this.#types.get(name) ?? value.type;
    if (name === value.name && type === value.type) return value;
    return Object.freeze({ ...value, name, ...(type === undefined ? {} : { type }) });
  }

  /** Declared types of values that are still there. */
  #valueInfo(nodes: readonly Node[]): ReadonlyMap<string, Value> {
    const inner = new Set(nodes.flatMap((node) => node.outputs));
    for (const value of [...this.#graph.inputs, ...this.#graph.outputs])
      inner.delete(this.#value(value).name);
    const kept = new Map<string, Value>();
    for (const value of this.#graph.valueInfo.values()) {
      const next = this.#value(value);
      if (inner.has(next.name)) kept.set(next.name, next);
    }
    for (const [name, type] of this.#types) {
      if (inner.has(name)) kept.set(name, Object.freeze({ ...kept.get(name), name, type }));
    }
    return kept;
  }

  #fresh(base: string): string {
    for (let i = 0; ; i++) {
      const name = `${base}_${i}`;
      if (this.#names.has(name)) continue;
      this.#names.add(name);
      return name;
    }
  }
}

/** Maps what a node uses, also inside its subgraphs, and leaves what it defines. */
function renameInputs(node: Node, rename: (name: string) => string): Node {
  const own = new Set(node.outputs);
  return renameUses(node, (name) => (own.has(name) ? name : rename(name)));
}
