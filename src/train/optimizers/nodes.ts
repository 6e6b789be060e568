/** An optimiser's update as ONNX nodes, for whole training steps as one graph. */
import { type BinaryOp, type Expression, type Formulas, ordered } from "./expression.js";
import { newtonSchulzNodes } from "./newton-schulz.js";
import type { Optimizer, Ratio } from "./optimizer.js";
import type { NodeWriter } from "./writer.js";

const BINARY: { readonly [O in BinaryOp]: string } = { add: "Add", sub: "Sub", mul: "Mul", div: "Div" };

type Names = Readonly<Record<string, string>>;

/**
 * Adds the nodes of one update of a parameter. `values` names `p`, `g`, each state and each shared scalar (float32, shape
 * []); the result names the new `p` and states. On a CPU the bits are those of the kernel (those of quotients of norms
 * but for the order of their sums).
 */
export function updateNodes(g: NodeWriter, optimizer: Optimizer, values: Names): Record<string, string> {
  const ratios = Object.entries(optimizer.ratios ?? {}).map(
    ([name, ratio]) => [name, ratioNodes(g, ratio, values)] as const,
  );
  return formulaNodes(g, optimizer.update, { ...values, ...Object.fromEntries(ratios) });
}

/** Adds the nodes of an update of one matrix, as `updateNodes` does; its scalars are those of the matrix. */
export function matrixNodes(
  g: NodeWriter,
  { before, newtonSchulz, after }: NonNullable<Optimizer["matrices"]>,
  shape: readonly number[],
  values: Names,
): Record<string, string> {
  const { g: direction, ...states } = formulaNodes(g, before.update, values);
  const orthogonal = newtonSchulzNodes(g, direction!, shape, newtonSchulz);
  return { ...states, ...formulaNodes(g, after.update, { ...values, g: orthogonal }) };
}

function formulaNodes(g: NodeWriter, update: Formulas["update"], values: Names): Record<string, string> {
  const names = new Map<Expression, string>();
  for (const e of ordered(Object.values(update))) {
    if (e.kind === "read" || e.kind === "scalar") names.set(e, values[e.name]!);
    else if (e.kind === "binary") names.set(e, g.add(BINARY[e.op], [names.get(e.a)!, names.get(e.b)!]));
    else names.set(e, g.add(e.op === "sqrt" ? "Sqrt" : "Sign", [names.get(e.a)!]));
  }
  return Object.fromEntries(Object.entries(update).map(([name, e]) => [name, names.get(e)!]));
}

/** Norms in double precision; 1 where either is 0. */
function ratioNodes(g: NodeWriter, ratio: Ratio, values: Names): string {
  const { over, under } = formulaNodes(g, { over: ratio.over, under: ratio.under }, values);
  const norm = (name: string): string => {
    const squares = g.add("ReduceSumSquare", [g.add("Cast", [name], { to: 11 })], { keepdims: 0 });
    return g.add("Sqrt", [squares]);
  };
  const [a, b] = [norm(over!), norm(under!)];
  const zero = g.add("Cast", [g.add("Constant", [], { value_float: 0 })], { to: 11 });
  const both = g.add("And", [g.add("Greater", [a, zero]), g.add("Greater", [b, zero])]);
  const one = g.add("Cast", [g.add("Constant", [], { value_float: 1 })], { to: 11 });
  return g.add("Cast", [g.add("Where", [both, g.add("Div", [a, b]), one])], { to: 1 });
}
