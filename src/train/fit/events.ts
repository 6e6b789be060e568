/** What a fit tells while it runs. */

export interface StepEvent {
  readonly type: "step";
  readonly epoch: number;
  /** Updates so far. */
  readonly step: number;
  /** Updates in all, where that is known. */
  readonly totalSteps: number | undefined;
  readonly loss: number;
  readonly gradNorm: number;
  readonly lr: number;
  readonly applied: boolean;
  readonly rows: number;
  /** Rows per second since the fit began, waiting for data and the consumer included. */
  readonly rate: number;
}

export interface EpochEvent {
  readonly type: "epoch";
  readonly epoch: number;
  readonly step: number;
  /** Mean over the rows of the epoch, each with the parameters of its time. */
  readonly loss: number;
  readonly seconds: number;
}

export interface EvaluationEvent {
  readonly type: "evaluation";
  readonly epoch: number;
  readonly step: number;
  /** `loss` and the metrics asked for. */
  readonly metrics: Readonly<Record<string, number>>;
  /** True when the metric that is watched was never better. */
  readonly best: boolean;
}

export interface CheckpointEvent {
  readonly type: "checkpoint";
  readonly step: number;
  readonly path: string;
}

export interface EndEvent {
  readonly type: "end";
  readonly reason: "finished" | "early-stop" | "stopped";
  readonly epoch: number;
  readonly step: number;
  readonly best: { readonly value: number; readonly step: number } | null;
}

export type FitEvent = StepEvent | EpochEvent | EvaluationEvent | CheckpointEvent | EndEvent;
