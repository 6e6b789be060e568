/** A worker's part of a job: shards from a source until none is left. */
import { type InputPlace, plannedInput } from "../input.js";
import { type FinishedPart, finishedPart } from "../part.js";
import type { ScorePlan } from "../plan.js";
import type { Scorer } from "../scorer.js";
import { type ShardProgress, scoreShard, shardMemory } from "../shard.js";
import type { ShardSource } from "./shard-source.js";

export interface WorkOptions extends InputPlace {
  readonly folder: string;
  readonly scorer: Scorer;
  readonly signal: AbortSignal;
  readonly inFlight?: number;
  readonly onProgress?: (step: ShardProgress) => void;
  /** Each part as it is seen to be there, whoever wrote it; `own` when it was this process. */
  readonly onPart?: (part: FinishedPart, own: boolean) => void;
}

/** Scores shards of `source`. Throws what the plan's input and the source throw; CANCELLED-like reasons after `signal`. */
export async function workOn(plan: ScorePlan, source: ShardSource, options: WorkOptions): Promise<void> {
  const { folder, signal } = options;
  const input = await plannedInput(plan, options);
  const memory = shardMemory();
  const left = new Set(plan.shards.map(({ i }) => i));
  const found = (part: FinishedPart, own: boolean): void => {
    if (left.delete(part.shard)) options.onPart?.(part, own);
  };
  await source.run({
    signal,
    score: async (shard) => {
      const part = await scoreShard(plan, shard, {
        folder,
        scorer: options.scorer,
        input,
        signal,
        memory,
        ...(options.inFlight === undefined ? {} : { inFlight: options.inFlight }),
        onProgress: (step) => {
          source.progress?.(step);
          options.onProgress?.(step);
        },
      });
      found(part, part.sha256 !== undefined);
      return part;
    },
    missing: async () => {
      for (const shard of left) {
        const part = await finishedPart(folder, plan, shard);
        if (part !== undefined) found(part, false);
      }
      return [...left];
    },
  });
  signal.throwIfAborted();
}
