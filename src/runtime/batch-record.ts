/** What the log keeps of a run. */
import type { TenonError } from "../base/index.js";
import type { BatchReason, BatchRecord } from "./batch-log.js";
import type { Batch, BatchOutputs } from "./lane.js";
import { type Pending, padRatio } from "./pending.js";

interface Finished {
  readonly batch: Batch;
  readonly members: readonly Pending[];
  readonly gear: BatchRecord["gear"];
  readonly reason: BatchReason;
  readonly startedAt: number;
  readonly predictedMs: number;
  readonly actualMs: number;
  readonly outputs: BatchOutputs | null;
  readonly error: TenonError | null;
}

export function recordOf(run: Finished): Omit<BatchRecord, "id"> {
  return {
    n: run.batch.rows,
    members: run.members.length,
    gear: run.gear,
    waitedMs: run.members.map((member) => run.startedAt - member.arrivedAt),
    padRatio: padRatio(run.members),
    predictedMs: run.predictedMs,
    actualMs: run.actualMs,
    reason: run.reason,
    copiedBytes: run.outputs?.copiedBytes ?? 0,
    ...(run.error === null ? {} : { error: run.error.code }),
  };
}
