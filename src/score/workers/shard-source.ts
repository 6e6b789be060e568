/** Where a worker gets its shards from: the process that started it, or a queue. */
import type { FinishedPart } from "../part.js";
import type { ShardProgress } from "../shard.js";

export interface ShardWork {
  /** Scores a shard and commits its part; gives the part at once where it is there. */
  readonly score: (shard: number) => Promise<FinishedPart>;
  /** Shards of the whole job whose parts are not there. */
  readonly missing: () => Promise<readonly number[]>;
  readonly signal: AbortSignal;
}

export interface ShardSource extends AsyncDisposable {
  /** Scores one shard after the other until none is left or `signal` aborts. Throws the failure of a shard that is final. */
  run(work: ShardWork): Promise<void>;
  /** Told of the rows that were scored, where somebody listens. */
  progress?(step: ShardProgress): void;
}
