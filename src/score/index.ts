/** tenon/score: a model over a whole table, as shards that can be run anywhere, again, and in any order. */
export { sweepTemporaries } from "../data/index.js";
export {
  finishJob,
  type JobOptions,
  makePlan,
  missingShards,
  type PlanRequest,
  readSuccess,
  runJob,
  SUCCESS_FILE,
  type Success,
} from "./job.js";
export { type Mapping, parseMapping } from "./mapping.js";
export { type FinishedPart, sha256Of } from "./part.js";
export { type OnError, PLAN_FILE, readPlan, type ScorePlan, writePlan } from "./plan.js";
export type { Scorer } from "./scorer.js";
export { type ShardOptions, type ShardProgress, scoreShard } from "./shard.js";
export { type BadLine, type LinesOptions, type LinesSummary, scoreLines } from "./stream/score-lines.js";
export { openQueue, type QueueOptions, type ShardQueue } from "./workers/bullmq-source.js";
export { type LocalWorkers, runWorkers } from "./workers/local-workers.js";
export { parentSource, reportToParent } from "./workers/parent-source.js";
export type { ShardSource, ShardWork } from "./workers/shard-source.js";
export { type WorkOptions, workOn } from "./workers/work.js";
