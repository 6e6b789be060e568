/** What a job's process and its local workers say to each other. */
import type { FinishedPart } from "../part.js";
import type { ShardProgress } from "../shard.js";

export type FromWorker =
  | { readonly type: "ready" }
  | { readonly type: "progress"; readonly step: ShardProgress }
  | { readonly type: "done"; readonly part: FinishedPart }
  /** `shard` is absent when the worker could not begin. */
  | { readonly type: "failed"; readonly shard?: number; readonly failure: string; readonly final: boolean };

export type ToWorker = { readonly type: "score"; readonly shard: number } | { readonly type: "end" };
