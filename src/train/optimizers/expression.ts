/** Update formulas as data: what the SIMD kernel, the ONNX nodes and the plain loop of an optimiser are made from. */

export type BinaryOp = "add" | "sub" | "mul" | "div";
export type UnaryOp = "sqrt" | "sign";

/** A formula over one element. The same object used twice is computed once. */
export type Expression =
  | { readonly kind: "read"; readonly name: string }
  | { readonly kind: "scalar"; readonly name: string }
  | { readonly kind: "binary"; readonly op: BinaryOp; readonly a: Expression; readonly b: Expression }
  | { readonly kind: "unary"; readonly op: UnaryOp; readonly a: Expression };

const binary =
  (op: BinaryOp) =>
  (a: Expression, b: Expression): Expression => ({ kind: "binary", op, a, b });
const unary =
  (op: UnaryOp) =>
  (a: Expression): Expression => ({ kind: "unary", op, a });

/** An array's element before the update: `p`, `g` or a state. */
export const read = (name: string): Expression => ({ kind: "read", name });
/** A number that is the same for all elements of a step. */
export const scalar = (name: string): Expression => ({ kind: "scalar", name });
export const add: (a: Expression, b: Expression) => Expression = binary("add");
export const sub: (a: Expression, b: Expression) => Expression = binary("sub");
export const mul: (a: Expression, b: Expression) => Expression = binary("mul");
export const div: (a: Expression, b: Expression) => Expression = binary("div");
export const sqrt: (a: Expression) => Expression = unary("sqrt");
/** −1, 0 or 1; NaN of NaN. */
export const sign: (a: Expression) => Expression = unary("sign");

/** Arrays, and a formula for each one that is written: what a kernel, nodes or a loop are made from. */
export interface Formulas {
  /** Names of the arrays beside `p` and `g`. */
  readonly state: readonly string[];
  readonly update: Readonly<Record<string, Expression>>;
}

/** Arrays in the order of a kernel's pointers: `p`, `g`, then the states. */
export function arrayNames(formulas: Formulas): readonly string[] {
  return ["p", "g", ...formulas.state];
}

/** Scalars below the roots, in the order of a kernel's parameters. */
export function scalarsOf(roots: readonly Expression[]): readonly string[] {
  const scalars = ordered(roots).filter((e) => e.kind === "scalar");
  return [...new Set(scalars.map(({ name }) => name))];
}

/** Every expression below the roots once, operands before their users. */
export function ordered(roots: readonly Expression[]): Expression[] {
  const seen = new Set<Expression>();
  const visit = (e: Expression): void => {
    if (seen.has(e)) return;
    if (e.kind === "binary") {
      visit(e.a);
      visit(e.b);
    } else if (e.kind === "unary") visit(e.a);
    seen.add(e);
  };
  roots.forEach(visit);
  return [...seen];
}
