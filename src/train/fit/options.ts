/** Options of a fit. */
import type { Tensor } from "../../tensor/index.js";
import type { Schedule } from "../schedules.js";
import type { Batch } from "../step/batch.js";
import type { Metric } from "./metrics.js";
import type { TrainData } from "./source.js";

export interface EvaluateOptions {
  readonly data: TrainData;
  /** After every epoch (default), or after so many updates. */
  readonly every?: "epoch" | number;
  readonly metrics?: Readonly<Record<string, Metric>>;
  /** What metrics compare; default: the first output, and the first entry of the batch that is no input of the model. */
  readonly compare?: (
    outputs: Readonly<Record<string, Tensor>>,
    batch: Batch,
  ) => { readonly prediction: Tensor; readonly target: Tensor };
}

export interface CheckpointOptions {
  /** Folder of the run: checkpoints, and `metrics.jsonl`. */
  readonly dir: string;
  /** After every epoch (default), or after so many updates. */
  readonly every?: "epoch" | number;
  /** Newest checkpoints that are kept, beside the best; default 3. */
  readonly keep?: number;
  /** Write the curves for TensorBoard as well, into the same folder; default false. */
  readonly tensorboard?: boolean;
}

/** What a checkpoint may differ in from the run that continues it. */
export type Mismatch = "model" | "config" | "data" | "threads";

export interface FitOptions {
  /** Default 1. */
  readonly epochs?: number;
  /** Stop after so many updates. */
  readonly maxSteps?: number;
  /** Multiplies the learning rate of each update; default: constant 1. */
  readonly schedule?: Schedule;
  /** Updates that the schedule is stretched over; default: those of all epochs, which are counted for a dataset. */
  readonly totalSteps?: number;
  /** Rows per batch of arrays; default 32. A dataset says its own. */
  readonly batch?: number;
  /** Mix the rows of arrays, in another order each epoch; default true. */
  readonly shuffle?: boolean;
  /** Leave out the last rows of arrays when they fill no batch; default false. */
  readonly dropLast?: boolean;
  /** Of the order of the rows; default: the step's. */
  readonly seed?: number;
  readonly evaluate?: EvaluateOptions;
  /** The metric that is watched, for `earlyStop` and for the best checkpoint; default `loss`. */
  readonly watch?: string;
  /** Stop when the watched metric was not better in so many evaluations; `metric` is another way to say `watch`. */
  readonly earlyStop?: { readonly patience: number; readonly metric?: string; readonly minDelta?: number };
  readonly checkpoint?: CheckpointOptions;
  /** Go on from the newest checkpoint of `checkpoint.dir` (from the start where there is none), or from this folder. */
  readonly resume?: boolean | string;
  /** Differences from the checkpoint that are accepted. */
  readonly allowMismatch?: readonly Mismatch[];
  /** Aborted: the step under way is finished, a checkpoint is written, and the fit ends. */
  readonly signal?: AbortSignal;
  /** Treat the first Ctrl-C (SIGINT) like an abort; default: with `checkpoint`. */
  readonly interrupt?: boolean;
}
