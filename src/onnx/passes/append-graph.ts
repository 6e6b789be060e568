/** append-graph: another model behind (or before) this one: pooling, normalisation, pre- and post-processing. */
import { TenonError } from "../../base/index.js";
import { type Graph, type Model, makeGraph, type Value } from "../graph.js";
import type { Pass } from "../pass.js";
import { renameGraph } from "../rename.js";
import { joinOpsets } from "../same-rows.js";
import { allNamesOf } from "../uses.js";

export interface AppendOptions {
  /** Outputs of the model that stay outputs although the tail takes them; default none. */
  readonly keep?: readonly string[];
}

/**
 * `connections` says for each input of the tail which value of the model it takes; an input that it does not name
 * becomes an input of the whole. The tail's names keep theirs unless they are taken. Throws USAGE for a connection
 * between values that do not exist, MODEL_UNSUPPORTED for opsets that differ in an op of the tail.
 */
export function appendGraph(
  tail: Model,
  connections: Readonly<Record<string, string>>,
  options: AppendOptions = {},
): Pass {
  return {
    name: "append-graph",
    apply: (model) => {
      if (tail.functions.size > 0) {
        throw new TenonError("MODEL_UNSUPPORTED", {
          problem: "the tail has local functions",
          do: "inline them first",
        });
      }
      const opsets = joinOpsets(model, tail.graph.nodes, tail.opsets);
      const graph = joined(model.graph, tail.graph, connections, new Set(options.keep));
      return Object.freeze({ ...model, opsets, graph });
    },
  };
}

function joined(
  head: Graph,
  tail: Graph,
  connections: Readonly<Record<string, string>>,
  keep: ReadonlySet<string>,
): Graph {
  const names = allNamesOf(head);
  const tailInputs = new Set(tail.inputs.map(({ name }) => name));
  for (const [input, value] of Object.entries(connections)) {
    if (tailInputs.has(input) && names.has(value)) continue;
    throw new TenonError("USAGE", {
      problem: tailInputs.has(input)
        ? "the model has no value of this name"
        : "the tail has no input of this name",
      given: tailInputs.has(input) ? value : input,
    });
  }
  const taken = new Set(names);
  const consumed = new Set(Object.values(connections).filter((name) => !keep.has(name)));
  const renamed = new Map(Object.entries(connections));
  const rename = (name: string): string => {
    let fresh = renamed.get(name);
    if (fresh !== undefined) return fresh;
    fresh = name;
    for (let i = 0; taken.has(fresh); i++) fresh = `${name}_${i}`;
    taken.add(fresh);
    renamed.set(name, fresh);
    return fresh;
  };
  const { inputs, outputs, nodes, initializers, sparseInitializers, valueInfo } = renameGraph(tail, rename);
  const left = head.outputs.filter(({ name }) => !consumed.has(name));
  const declared = new Map(head.valueInfo);
  const ends = new Set([...head.inputs, ...left].map(({ name }) => name));
  for (const output of head.outputs)
    if (!ends.has(output.name) && output.type !== undefined) declared.set(output.name, output);
  for (const [name, value] of valueInfo) declared.set(name, value);
  const free = inputs.filter((_, i) => connections[tail.inputs[i]!.name] === undefined);
  return makeGraph({
    ...head,
    inputs: [...head.inputs, ...free],
    outputs: [
      ...left,
      ...outputs.filter((output): output is Value => !left.some(({ name }) => name === output.name)),
    ],
    nodes: [...head.nodes, ...nodes],
    initializers: new Map([...head.initializers, ...initializers]),
    sparseInitializers: new Map([...head.sparseInitializers, ...sparseInitializers]),
    valueInfo: declared,
  });
}
