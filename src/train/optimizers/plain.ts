/** An optimiser's update as plain loops: what the other two forms are held against, and what runs without SIMD. */
import { type BinaryOp, type Expression, type Formulas, ordered } from "./expression.js";
import { addSquares, totalOf } from "./reductions.js";

/** Arrays of one length: `p`, `g` and the optimiser's states. */
export type Arrays = Readonly<Record<string, Float32Array>>;

const BLOCK = 1024;

type Loop = (a: Float32Array, b: Float32Array, o: Float32Array, n: number) => void;

const BINARY: { readonly [O in BinaryOp]: Loop } = {
  add: (a, b, o, n) => {
    for (let i = 0; i < n; i++) o[i] = a[i]! + b[i]!;
  },
  sub: (a, b, o, n) => {
    for (let i = 0; i < n; i++) o[i] = a[i]! - b[i]!;
  },
  mul: (a, b, o, n) => {
    for (let i = 0; i < n; i++) o[i] = a[i]! * b[i]!;
  },
  div: (a, b, o, n) => {
    for (let i = 0; i < n; i++) o[i] = a[i]! / b[i]!;
  },
};

function applied(e: Expression & { kind: "unary" }, a: Float32Array, o: Float32Array, n: number): void {
  if (e.op === "sqrt") for (let i = 0; i < n; i++) o[i] = Math.sqrt(a[i]!);
  else
    for (let i = 0; i < n; i++) {
      const x = a[i]!;
      o[i] = Number.isNaN(x) ? x : Number(x > 0) - Number(x < 0);
    }
}

/** Evaluates the formulas block by block; every operation is rounded to float32 (a double result rounded once more is the same float32). */
function evaluate(
  roots: readonly Expression[],
  arrays: Arrays,
  scalars: Readonly<Record<string, number>>,
  use: (values: (e: Expression) => Float32Array, at: number) => void,
): void {
  const steps = ordered(roots);
  const length = arrays.p!.length;
  const values = new Map<Expression, Float32Array>();
  for (const step of steps) {
    const block = new Float32Array(BLOCK);
    if (step.kind === "scalar") block.fill(scalars[step.name]!);
    values.set(step, block);
  }
  for (let at = 0; at < length; at += BLOCK) {
    const n = Math.min(BLOCK, length - at);
    for (const step of steps) {
      if (step.kind === "read") values.set(step, arrays[step.name]!.slice(at, at + n));
      else if (step.kind === "unary") applied(step, values.get(step.a)!, values.get(step)!, n);
      else if (step.kind === "binary")
        BINARY[step.op](values.get(step.a)!, values.get(step.b)!, values.get(step)!, n);
    }
    use((e) => values.get(e)!.subarray(0, n), at);
  }
}

/** One step in place. */
export function plainUpdate(
  { update }: Pick<Formulas, "update">,
  arrays: Arrays,
  scalars: Readonly<Record<string, number>>,
): void {
  const written = Object.entries(update);
  evaluate(Object.values(update), arrays, scalars, (values, at) => {
    for (const [name, e] of written) arrays[name]!.set(values(e), at);
  });
}

/** Σ e² over the arrays, with the bits of its kernel. */
export function plainSquaresOf(
  e: Expression,
  arrays: Arrays,
  scalars: Readonly<Record<string, number>>,
): number {
  const sums = new Float64Array(4);
  evaluate([e], arrays, scalars, (values) => addSquares(sums, values(e)));
  return totalOf(sums);
}
