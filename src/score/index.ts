/** tenon/score: a model over a whole table, as shards that can be run anywhere, again, and in any order. */
export { sweepTemporaries } from "../data/index.js";
export {
  finishJob,
  type JobOptions,
  makePlan,
  type PlanRequest,
  runJob,
  SUCCESS_FILE,
  type Success,
} from "./job.js";
export { type Mapping, parseMapping } from "./mapping.js";
export { type FinishedPart, sha256Of } from "./part.js";
export { type OnError, PLAN_FILE, readPlan, type ScorePlan, writePlan } from "./plan.js";
export type { Scorer } from "./scorer.js";
export { type ShardOptions, type ShardProgress, scoreShard } from "./shard.js";
