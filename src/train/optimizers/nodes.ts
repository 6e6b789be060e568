/** An optimiser's update as ONNX nodes, for whole training steps as one graph. */
import { type BinaryOp, type Expression, ordered } from "./expression.js";
import type { Optimizer } from "./rows.js";

const BINARY: { readonly [O in BinaryOp]: string } = { add: "Add", sub: "Sub", mul: "Mul", div: "Div" };

/** What adds nodes: a graph builder of `tenon/onnx`, say. */
export interface NodeWriter {
  /** Adds a node of one output; returns the output's name. */
  add(op: string, inputs: readonly string[]): string;
}

/**
 * Adds the nodes of one update. `values` names `p`, `g`, each state and each scalar (float32, shape []); the result
 * names the new `p` and states. On a CPU the bits are those of the kernel.
 */
export function updateNodes(
  g: NodeWriter,
  optimizer: Optimizer,
  values: Readonly<Record<string, string>>,
): Record<string, string> {
  const names = new Map<Expression, string>();
  for (const e of ordered(Object.values(optimizer.update))) {
    if (e.kind === "read" || e.kind === "scalar") names.set(e, values[e.name]!);
    else if (e.kind === "binary") names.set(e, g.add(BINARY[e.op], [names.get(e.a)!, names.get(e.b)!]));
    else names.set(e, g.add(e.op === "sqrt" ? "Sqrt" : "Sign", [names.get(e.a)!]));
  }
  return Object.fromEntries(Object.entries(optimizer.update).map(([name, e]) => [name, names.get(e)!]));
}
