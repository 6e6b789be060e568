/** Rewriter: rules that match a node and its surroundings, applied round by round until none matches any more. */
import { TenonError } from "../base/index.js";
import { check } from "./check.js";
import { type Graph, type Model, makeGraph, mapGraphs, type Node, type TensorData } from "./graph.js";
import { type Pass, withGraph } from "./pass.js";
import { Patch } from "./patch.js";
import { allNamesOf, type GraphIndex, indexOf, usesOf } from "./uses.js";

/** What a rule sees besides the node. */
export interface RewriteView extends GraphIndex {
  readonly graph: Graph;
  readonly opsets: ReadonlyMap<string, number>;
  /** True when the graph gives the value out, so that its name must stay. */
  readonly isOutput: (name: string) => boolean;
  /** A constant of this graph or one around it; undefined for values that the caller may override. */
  readonly constant: (name: string) => TensorData | undefined;
}

/** A change that a rule found. */
export interface Rewrite {
  /** The nodes that the change rests on: none of them, or of their neighbours, changes in the same round. */
  readonly nodes: readonly Node[];
  readonly apply: (patch: Patch) => void;
}

export interface RewriteRule {
  readonly name: string;
  /** Op types to visit; `domain:Op` outside the default domain. */
  readonly ops: readonly string[];
  readonly match: (node: Node, view: RewriteView) => Rewrite | undefined;
}

const LEAST_ROUNDS = 8;
const NODES_PER_ROUND = 1000;

/**
 * A pass from rules. Nodes are visited in topological order, inner graphs before the node that holds them; the model
 * is checked after every round. Throws MODEL_INVALID with the names of pass and rule when a rule breaks the model, and
 * INTERNAL when rules still match after 8 rounds and one more for each 1,000 nodes.
 */
export function rewriter(name: string, rules: readonly RewriteRule[]): Pass {
  const byOp = new Map<string, RewriteRule[]>();
  for (const rule of rules) {
    for (const op of rule.ops) byOp.set(op, [...(byOp.get(op) ?? []), rule]);
  }
  return {
    name,
    apply: (model) => {
      const most = LEAST_ROUNDS + Math.floor(model.graph.nodes.length / NODES_PER_ROUND);
      for (let round = 0; ; round++) {
        const used = new Set<string>();
        const place: Place = { byOp, used, opsets: model.opsets, names: allNamesOf(model.graph) };
        const next = withGraph(
          model,
          rewriteGraph(model.graph, place, () => undefined),
        );
        if (next === model) return model;
        if (round === most) throw endless(name, used, most);
        checkRound(next, name, used);
        model = next;
      }
    },
  };
}

interface Place {
  readonly byOp: ReadonlyMap<string, readonly RewriteRule[]>;
  /** Rules that matched in this round. */
  readonly used: Set<string>;
  readonly opsets: ReadonlyMap<string, number>;
  readonly names: Set<string>;
}

function rewriteGraph(given: Graph, place: Place, outer: RewriteView["constant"]): Graph {
  const inputs = new Set(given.inputs.map((input) => input.name));
  const constant = (name: string): TensorData | undefined =>
    inputs.has(name) ? undefined : (given.initializers.get(name) ?? outer(name));
  const nodes = given.nodes.map((node) => {
    const attrs = mapGraphs(node.attrs, (inner) => rewriteGraph(inner, place, constant));
    return attrs === node.attrs ? node : Object.freeze({ ...node, attrs });
  });
  const graph = nodes.some((node, i) => node !== given.nodes[i]) ? makeGraph({ ...given, nodes }) : given;
  const outputs = new Set(graph.outputs.map((output) => output.name));
  const view: RewriteView = {
    ...indexOf(graph),
    graph,
    opsets: place.opsets,
    isOutput: (name) => outputs.has(name),
    constant,
  };
  return applyRules(view, place);
}

function applyRules(view: RewriteView, place: Place): Graph {
  let patch: Patch | undefined;
  const changed = new Set<Node>();
  const made = new Set<string>();
  const read = new Set<string>();
  /** Changes of neighbours in one round could each rest on what the other replaces. */
  const isFree = (node: Node): boolean =>
    !changed.has(node) &&
    ![...usesOf(node)].some((name) => made.has(name)) &&
    !node.outputs.some((name) => read.has(name));
  for (const node of view.graph.nodes) {
    const rules = place.byOp.get(node.domain === "" ? node.op : `${node.domain}:${node.op}`) ?? [];
    for (const rule of rules) {
      const found = rule.match(node, view);
      if (found === undefined || !found.nodes.every(isFree)) continue;
      patch ??= new Patch(view.graph, place.opsets, place.names);
      found.apply(patch);
      place.used.add(rule.name);
      for (const each of found.nodes) {
        changed.add(each);
        for (const name of each.outputs) if (name !== "") made.add(name);
        for (const name of usesOf(each)) read.add(name);
      }
      break;
    }
  }
  return patch === undefined ? view.graph : patch.apply();
}

function checkRound(model: Model, pass: string, used: ReadonlySet<string>): void {
  check(model, { after: `${pass} (${[...used].join(", ")})` });
}

function endless(pass: string, used: ReadonlySet<string>, rounds: number): TenonError {
  return new TenonError("INTERNAL", {
    problem: `the rules of pass ${pass} go on matching`,
    given: `${[...used].join(", ")} after ${rounds} rounds`,
    expected: "rules whose results they do not match again",
  });
}
