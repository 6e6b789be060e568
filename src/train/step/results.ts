/** What a step is told and tells: rates, results, counters. */
import type { Tensor } from "../../tensor/index.js";

export interface StepResult {
  /** The batch's loss, before the update. */
  readonly loss: number;
  /** Norm over all gradients before the clip; NaN while gradients are accumulated. */
  readonly gradNorm: number;
  /** Updates of the parameters so far. */
  readonly step: number;
  /** False for a batch whose gradients are accumulated, and where the norm was not finite: nothing was changed. */
  readonly applied: boolean;
  /** Learning rate of the update. */
  readonly lr: number;
  /** Rows of the batch. */
  readonly rows: number;
}

export interface RunOptions {
  /** What the schedule gives for this step: multiplies the learning rate. Default 1. */
  readonly rate?: number;
}

export interface Evaluated {
  readonly loss: number;
  /** Copies of the model's outputs. */
  readonly outputs: Readonly<Record<string, Tensor>>;
  readonly rows: number;
}

/** Counters that a checkpoint keeps beside the arrays. */
export interface StepCounters {
  readonly step: number;
  /** Batches accumulated since the last update, and their rows. */
  readonly accumulated: number;
  readonly accumulatedRows: number;
  /** Updates left out in a row because the norm was not finite. */
  readonly notFinite: number;
  /** Batches run so far: decides the masks of dropout. */
  readonly batches: number;
}

/** How a step uses its threads. */
export type Parallel = "threads" | "lanes";
