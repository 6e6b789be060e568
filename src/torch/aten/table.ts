/** The one table of ATen ops that have an ONNX form, and its door for users' own rows. */
import { TenonError } from "../../base/index.js";
import { canonical } from "./aliases.js";
import { COMPARISON } from "./comparison.js";
import { CONVOLUTION } from "./convolution.js";
import { CREATION } from "./creation.js";
import { DISTANCE } from "./distance.js";
import { ELEMENTWISE } from "./elementwise.js";
import type { OpHandler } from "./handler.js";
import { INDEXING } from "./indexing.js";
import { LINEAR } from "./linear.js";
import { NORMALIZATION } from "./normalization.js";
import { PIECES } from "./pieces.js";
import { PIECEWISE } from "./piecewise.js";
import { POOLING } from "./pooling.js";
import { RECURRENT } from "./recurrent.js";
import { REDUCTIONS } from "./reductions.js";
import { RESAMPLING } from "./resampling.js";
import { SHAPE } from "./shape.js";

const FAMILIES = [
  ELEMENTWISE,
  PIECEWISE,
  COMPARISON,
  REDUCTIONS,
  SHAPE,
  PIECES,
  LINEAR,
  DISTANCE,
  CONVOLUTION,
  POOLING,
  NORMALIZATION,
  RECURRENT,
  INDEXING,
  CREATION,
  RESAMPLING,
];

const BUILT_IN: ReadonlyMap<string, OpHandler> = new Map(
  FAMILIES.flatMap((rows) =>
    Object.entries(rows).map(([name, handler]) => [`aten.${name}`, handler] as const),
  ),
);

const added = new Map<string, OpHandler>();

/** The handler of a target such as `aten.linear.default`; undefined: there is none. */
export function handlerOf(target: string): OpHandler | undefined {
  return added.get(target) ?? BUILT_IN.get(canonical(target));
}

/** Targets of the built-in table, sorted. */
export function knownOps(): string[] {
  return [...BUILT_IN.keys()].sort();
}

/**
 * Adds a row for one target, `namespace.op.overload` (`aten.bucketize.Tensor`), or replaces the built-in one, for this
 * process. The handler emits ONNX nodes through `c` and returns the names of the outputs' values. Returns a function that
 * takes the row out again. Throws USAGE for a target that is no such name.
 *
 * @example
 * registerOp("my_ops.twice.default", (c, args) => {
 *   const x = args.tensor("x");
 *   return c.add("Add", [x.value, x.value]);
 * });
 */
export function registerOp(target: string, handler: OpHandler): () => void {
  if (!/^\w+\.\w+\.\w+$/.test(target)) {
    throw new TenonError("USAGE", {
      problem: "the target is no full name of an op",
      given: JSON.stringify(target),
      expected: "namespace.op.overload, such as aten.bucketize.Tensor",
    });
  }
  added.set(target, handler);
  return () => {
    if (added.get(target) === handler) added.delete(target);
  };
}
