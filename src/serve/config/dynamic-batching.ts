/** `dynamic_batching` and `instance_group` as the runtime has them: rules for batches, and runs at the same time. */
import type { ExplicitBatching, QueuePolicy } from "../../runtime/index.js";
import type { Config, ConfigFile } from "./config-file.js";

type DynamicBatching = NonNullable<Config["dynamic_batching"]>;
type Policy = NonNullable<DynamicBatching["default_queue_policy"]>;

const MICROSECONDS = 1000;

/** The rules of a configuration; undefined where it has none. Throws CONFIG_INVALID. */
export function explicitBatching(file: ConfigFile): ExplicitBatching | undefined {
  const { dynamic_batching: dynamic, max_batch_size: max } = file.config;
  if (dynamic === undefined) return undefined;
  for (const size of dynamic.preferred_batch_size) {
    if (size >= 1 && (max === 0 || size <= max)) continue;
    const expected = max > 0 ? `sizes from 1 to ${max}, the max_batch_size` : "sizes of at least 1";
    throw file.invalid(`preferred_batch_size is ${size}`, "preferred_batch_size", dynamic, expected);
  }
  const levels = Number(dynamic.priority_levels);
  if (levels > MOST_LEVELS) {
    throw file.invalid(`priority_levels is ${levels}`, "priority_levels", dynamic, `at most ${MOST_LEVELS}`);
  }
  const defaultLevel = Number(dynamic.default_priority_level);
  if (levels > 0 && (defaultLevel < 1 || defaultLevel > levels)) {
    const field = defaultLevel === 0 ? "priority_levels" : "default_priority_level";
    const problem = `default_priority_level is ${defaultLevel}, with ${levels} priority_levels`;
    throw file.invalid(problem, field, dynamic, `default_priority_level: from 1 to ${levels}`);
  }
  const policies = new Map<number, QueuePolicy>();
  for (const [level, policy] of dynamic.priority_queue_policy) {
    if (Number(level) < 1 || Number(level) > levels) {
      throw file.invalid(
        `priority_queue_policy names level ${level} of ${levels}`,
        "priority_queue_policy",
        dynamic,
        levels === 0 ? "priority_levels" : `a level from 1 to ${levels}`,
      );
    }
    policies.set(Number(level), policyOf(policy));
  }
  const maxDelayMs = Number(dynamic.max_queue_delay_microseconds) / MICROSECONDS;
  return {
    preferred: [...dynamic.preferred_batch_size],
    maxDelayMs,
    levels,
    defaultLevel,
    policy: policyOf(dynamic.default_queue_policy),
    policies,
    preserveOrdering: dynamic.preserve_ordering,
  };
}

const MOST_LEVELS = 1000;

function policyOf(policy: Policy | undefined): QueuePolicy {
  return {
    action: policy?.timeout_action === "DELAY" ? "delay" : "reject",
    timeoutMs: Number(policy?.default_timeout_microseconds ?? 0) / MICROSECONDS,
    allowOverride: policy?.allow_timeout_override ?? false,
    maxQueue: policy?.max_queue_size ?? 0,
  };
}

/** Runs at the same time that the groups ask for together; undefined where there are none. Throws CONFIG_INVALID. */
export function instancesOf(file: ConfigFile): number | undefined {
  const groups = file.config.instance_group;
  if (groups.length === 0) return undefined;
  let instances = 0;
  for (const group of groups) {
    if (group.count < 0) throw file.invalid(`count is ${group.count}`, "count", group, "1 or more");
    if (group.kind === "KIND_GPU")
      file.warn("kind", "KIND_GPU: the model runs on the processor's cores", group);
    if (group.rate_limiter !== undefined)
      file.warn("rate_limiter", "rate_limiter is not followed: lanes are shared by age", group);
    if (!group.passive) instances += Math.max(1, group.count);
  }
  return instances > 0 ? instances : undefined;
}
