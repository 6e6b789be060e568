/** Local functions: recursion, depth of calls, the number of nodes with every call expanded, and their bodies. */
import { type FunctionDef, functionKey, type Graph, type Model, type Node, subgraphsOf } from "../graph.js";
import { usesOf } from "../uses.js";
import type { Report } from "./finding.js";
import { LIMITS } from "./limits.js";

/** Nodes of a list and of the graphs in their attributes, no deeper than any model may be nested. */
export function* nestedNodes(nodes: readonly Node[], depth = 0): Generator<Node> {
  for (const node of nodes) {
    yield node;
    if (depth > LIMITS.subgraphDepth) continue;
    for (const graph of subgraphsOf(node)) yield* nestedNodes(graph.nodes, depth + 1);
  }
}

/** Keys of the functions, callees before callers; undefined, after a finding, when there is no such order. */
export function callOrder(model: Model, report: Report): string[] | undefined {
  const order: string[] = [];
  const state = new Map<string, "open" | "done">();
  // An explicit stack: a chain of calls may be longer than the call stack is deep.
  for (const start of model.functions.keys()) {
    const stack = state.has(start) ? [] : [{ key: start, callees: calleesOf(model, start) }];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      state.set(top.key, "open");
      const next = top.callees.pop();
      if (next === undefined) {
        state.set(top.key, "done");
        order.push(top.key);
        stack.pop();
      } else if (state.get(next) === "open") {
        report.add("FUNCTION_RECURSION", `function ${model.functions.get(next)!.name}`);
        return undefined;
      } else if (state.get(next) === undefined) stack.push({ key: next, callees: calleesOf(model, next) });
    }
  }
  return order;
}

function calleesOf(model: Model, key: string): string[] {
  const callees = new Set<string>();
  for (const node of nestedNodes(model.functions.get(key)!.nodes)) {
    const callee = functionKey(node);
    if (model.functions.has(callee)) callees.add(callee);
  }
  return [...callees];
}

/** What is counted stays exact as a number; more than this is as bad. */
const SATURATED = 2 ** 50;

interface Cost {
  readonly nodes: number;
  /** Calls inside one another; a function that calls none has 1. */
  readonly depth: number;
}

/** Reports calls that are too deep, and a model that grows too large; each function is looked at once. */
export function checkExpansion(model: Model, order: readonly string[], report: Report): void {
  const costs = new Map<string, Cost>();
  const costOf = (nodes: readonly Node[]): Cost => {
    let count = 0;
    let depth = 0;
    for (const node of nestedNodes(nodes)) {
      const callee = costs.get(functionKey(node));
      // The call itself exists, too, until its body takes its place.
      count = Math.min(SATURATED, count + 1 + (callee?.nodes ?? 0));
      depth = Math.max(depth, callee?.depth ?? 0);
    }
    return { nodes: count, depth: depth + 1 };
  };
  for (const key of order) costs.set(key, costOf(model.functions.get(key)!.nodes));
  // Functions that nobody calls count, too: their chain is followed when the file is loaded.
  const whole = costOf(model.graph.nodes);
  let depth = whole.depth - 1;
  let largest = whole.nodes;
  for (const cost of costs.values()) {
    depth = Math.max(depth, cost.depth);
    largest = Math.max(largest, cost.nodes);
  }
  if (depth > LIMITS.functionDepth) {
    report.add("FUNCTION_DEPTH", "model", `${depth} levels of calls`, `at most ${LIMITS.functionDepth}`);
  }
  if (largest > LIMITS.expandedNodes) {
    const given = largest >= SATURATED ? "more than 2^50" : String(largest);
    report.add("EXPANDED_NODES", "model", `${given} nodes`, `at most ${LIMITS.expandedNodes}`);
  }
}

/** Reports the names of a function that do not fit: a body sees its inputs and what its nodes give, nothing else. */
export function checkBody(fn: FunctionDef, report: Report): void {
  const where = `function ${fn.name}`;
  const defined = new Set<string>();
  const define = (name: string): void => {
    if (name === "") return;
    if (defined.has(name)) report.add("FUNCTION_BODY", where, `"${name}" is defined twice`);
    defined.add(name);
  };
  for (const name of fn.inputs) define(name);
  for (const node of fn.nodes) for (const name of node.outputs) define(name);
  for (const node of fn.nodes) {
    for (const name of usesOf(node)) {
      if (!defined.has(name)) report.add("FUNCTION_BODY", where, `"${name}" is not defined`);
    }
  }
  for (const name of fn.outputs) {
    if (!defined.has(name)) report.add("FUNCTION_BODY", where, `the output "${name}" is not defined`);
  }
}

/** A graph's free-standing form of a function, for walking its body as a graph. */
export function bodyOf(fn: FunctionDef): Pick<Graph, "inputs" | "initializers" | "valueInfo"> {
  return {
    inputs: fn.inputs.map((name) => ({ name })),
    initializers: new Map(),
    valueInfo: fn.valueInfo,
  };
}
