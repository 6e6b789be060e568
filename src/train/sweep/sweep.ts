/** A sweep: a search space, a trial of some parameters, and what it gives. */
import { TenonError } from "../../base/index.js";
import type { Parameters, Space } from "./space.js";

/** What a trial is given. */
export interface Trial<S extends Space = Space> {
  /** 0 for the first. */
  readonly number: number;
  readonly parameters: Parameters<S>;
  /** Of the trial's own randomness; follows from the sweep's seed and the number. */
  readonly seed: number;
  /** Aborted when the sweep is to stop. */
  readonly signal: AbortSignal;
}

export interface Sweep<S extends Space = Space, M extends string = string> {
  readonly space: S;
  /** Numbers that a trial gives, and which way they are better; the first one orders the results. */
  readonly metrics: Readonly<Record<M, "higher" | "lower">>;
  /** Trains and gives the metrics. What it throws fails the trial, not the sweep. */
  readonly trial: (trial: Trial<S>) => Promise<Readonly<Record<M, number>>> | Readonly<Record<M, number>>;
}

/** Names that columns of the results have already. */
const TAKEN = new Set(["trial", "seed"]);
const NAME = /^[A-Za-z_]\w{0,63}$/;

/**
 * Checks a sweep and gives it back, for a module that `tenon sweep` runs:
 *
 *     export const sweep = defineSweep({
 *       space: { lr: logBetween(1e-4, 1e-1), width: oneOf(16, 32, 64) },
 *       metrics: { accuracy: "higher" },
 *       trial: async ({ parameters, seed, signal }) => ({ accuracy: await trained(parameters, seed, signal) }),
 *     });
 *
 * Throws USAGE for names that are no column names or that two things have.
 */
export function defineSweep<const S extends Space, const M extends string>(sweep: Sweep<S, M>): Sweep<S, M> {
  const { space, metrics, trial } = sweep;
  const names = [...Object.keys(space), ...Object.keys(metrics)];
  const wrong = names.find((name, at) => !NAME.test(name) || TAKEN.has(name) || names.indexOf(name) !== at);
  const ways = Object.values(metrics);
  const isWhole = Object.keys(space).length > 0 && ways.length > 0 && typeof trial === "function";
  if (wrong === undefined && isWhole && ways.every((way) => way === "higher" || way === "lower"))
    return sweep;
  throw new TenonError("USAGE", {
    problem: "this is no sweep",
    given:
      wrong === undefined ? "without parameters, metrics or a trial" : `the name "${wrong.slice(0, 80)}"`,
    expected: "a space, metrics that are higher or lower, a trial, and names of letters that are used once",
  });
}
