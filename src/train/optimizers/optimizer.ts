/** What an optimiser is: its states, its scalars, and the formulas from which kernel, nodes and plain loop are made. */
import { type Expression, type Formulas, scalarsOf } from "./expression.js";

/** Numbers that change from step to step or differ between parameter groups. */
export interface StepRates {
  /** Steps taken, this one included: 1 for the first. */
  readonly step: number;
  /** Learning rate of this step, after the schedule. */
  readonly lr: number;
  readonly weightDecay: number;
}

/** ‖over‖ / ‖under‖ of one parameter, 1 where either norm is 0. */
export interface Ratio {
  readonly over: Expression;
  readonly under: Expression;
}

/** An optimiser: states per element, the step's scalars, and one formula for each array that a step writes. */
export interface Optimizer extends Formulas {
  readonly name: string;
  /** Learning rate before any schedule. */
  readonly lr: number;
  readonly weightDecay: number;
  /** Names of the arrays kept beside the parameters, all zero at first unless `start` says otherwise. */
  readonly state: readonly string[];
  /** What a state is filled with before the first step; default 0. */
  readonly start?: Readonly<Record<string, number>>;
  /** Computed in double precision, rounded once to float32. */
  scalars(rates: StepRates): Readonly<Record<string, number>>;
  /** Arrays written, `p` among them. `g` is the gradient before the clip, whose factor is the scalar `scale`. */
  readonly update: Readonly<Record<string, Expression>>;
  /** Scalars of the update that each parameter has of its own, by name: quotients of norms over the whole parameter. */
  readonly ratios?: Readonly<Record<string, Ratio>>;
  /** Parameters that are updated as matrices instead. */
  readonly matrices?: MatrixUpdate;
}

/** Newton–Schulz: X ← aX + (bA + cA²)X with A = XXᵀ, `steps` times, from X / max(‖X‖, epsilon). */
export interface NewtonSchulz {
  readonly coefficients: readonly [a: number, b: number, c: number];
  readonly steps: number;
  readonly epsilon: number;
}

/** An update of whole matrices: formulas, then the gradient's place orthogonalised, then formulas again. */
export interface MatrixUpdate {
  readonly weightDecay: number;
  /** Whether a parameter is updated so. */
  takes(name: string, shape: readonly number[]): boolean;
  scalars(rates: StepRates, shape: readonly number[]): Readonly<Record<string, number>>;
  /** Writes states, and into `g` the matrix to be orthogonalised. */
  readonly before: Formulas;
  readonly newtonSchulz: NewtonSchulz;
  /** Writes `p`, from the orthogonal matrix in `g`. */
  readonly after: Formulas;
}

/** Scalars of an update that are the same for all parameters of a group, `scale` among them. */
export function sharedScalars({ update, ratios = {} }: Optimizer): readonly string[] {
  const roots = [
    ...Object.values(update),
    ...Object.values(ratios).flatMap((each) => [each.over, each.under]),
  ];
  return scalarsOf(roots).filter((name) => !Object.hasOwn(ratios, name));
}
