/** A plan with its source opened, and the checks that need the schema. */
import { TenonError } from "../base/index.js";
import { checkBuckets } from "./buckets.js";
import { type Plan, planHash } from "./plan.js";
import type { Scan } from "./scan.js";
import { checkSpecs } from "./tensors.js";
import { checkWhere, unknownColumn } from "./where.js";
import { checkRanges } from "./window.js";

export interface OpenedPlan {
  readonly scan: Scan;
  readonly hash: string;
  release(): Promise<void>;
}

export async function openPlan(plan: Plan): Promise<OpenedPlan> {
  const scan = await plan.source.open();
  return { scan, hash: planHash(plan), release: () => Promise.resolve(scan[Symbol.asyncDispose]()) };
}

/** Throws USAGE or TENSOR_DTYPE when the plan does not fit the schema. */
export function checkPlan(plan: Plan, scan: Scan): void {
  checkWhere(plan.where, scan.schema);
  checkRanges(plan.ranges, scan.schema);
  checkBuckets(plan, scan.schema);
  if (plan.tensors !== null) checkSpecs(plan.tensors, scan.schema);
  for (const name of plan.select ?? []) if (!scan.schema.has(name)) throw unknownColumn(name, scan.schema);
  if (plan.tensors !== null && plan.select !== null) {
    const missing = Object.values(plan.tensors)
      .flatMap(({ columns }) => columns)
      .find((name) => !plan.select!.includes(name));
    if (missing !== undefined)
      throw new TenonError("USAGE", {
        problem: `a tensor needs column "${missing}", which select leaves out`,
      });
  }
}
