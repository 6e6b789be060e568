/** linear: one name for two things that the field calls so, told apart by what it is given. */
import { dense, type LinearOptions } from "./layers/dense.js";
import { Var } from "./model/tape.js";
import { linear as linearSchedule, type Schedule, type Warmup } from "./schedules.js";

/** A layer: x · W + b over the last axis, [..., in] → [..., features]. Parameters: `weight` [in, features], `bias` [features]. */
export function linear(x: Var, features: number, options?: LinearOptions): Var;
/** A schedule: from `start` (default 1) to `end` (default 0) in even steps. */
export function linear(options?: Warmup & { readonly start?: number; readonly end?: number }): Schedule;
export function linear(
  first?: Var | (Warmup & { readonly start?: number; readonly end?: number }),
  features?: number,
  options?: LinearOptions,
): Var | Schedule {
  return first instanceof Var ? dense(first, features ?? Number.NaN, options) : linearSchedule(first);
}
