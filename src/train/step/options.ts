/** Options of a training step. */
import type { Group } from "../memory.js";
import type { Tape, Var } from "../model/tape.js";
import type { Optimizer } from "../optimizers/optimizer.js";

/** The values of a batch by name: those that the model takes and those that only the loss does. */
export type BatchVars = Readonly<Record<string, Var>>;

/** Makes the loss of a batch, one float32 number, from the model's outputs and the batch. */
export type LossFunction = (t: Tape, outputs: BatchVars, batch: BatchVars) => Var;

/** Parameters with rates of their own. The first group that matches a parameter has it. */
export interface ParameterGroup extends Group {
  readonly match: RegExp | ((name: string, shape: readonly number[]) => boolean);
}

export interface CompileOptions {
  readonly loss: LossFunction;
  readonly optimizer: Optimizer;
  /**
   * Groups before the last, which has all the rest. Default: one for biases, norms and embeddings, without weight decay.
   * `"pytorch"`: no groups, everything decays.
   */
  readonly groups?: readonly ParameterGroup[] | "pytorch";
  /** Largest norm over all gradients together; default none. */
  readonly clipNorm?: number;
  /** Batches whose gradients make one update, each by its share of the rows; default 1. */
  readonly accumulate?: number;
  /** Decay of a moving average of the parameters, such as 0.999; default none. */
  readonly average?: number;
  /** Decides the masks of dropout; default 0. */
  readonly seed?: number;
  /** Intra-op threads of a run; default: the cores of the machine. */
  readonly threads?: number;
  /**
   * How `threads` are used: `threads`, inside the ops; `lanes`, each on a part of the batch's rows, all at once, the
   * gradients added in their order. Default `auto`: for a model of some size whose loss is a mean or a sum over rows,
   * both are tried on the first batch, and the faster one stays (`step.parallel`). `lanes` refuses other losses; batch
   * statistics are then those of each part. Batches whose rows do not divide by `threads` run on threads.
   */
  readonly parallel?: "auto" | "threads" | "lanes";
  /** Compiled shapes that are kept; default 8. */
  readonly shapes?: number;
}
