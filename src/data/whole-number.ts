/** Counts given by callers, checked. */
import { TenonError } from "../base/index.js";

/** Throws USAGE unless `value` is a whole number from `min` on. */
export function wholeNumber(what: string, value: number, min: number): number {
  if (Number.isSafeInteger(value) && value >= min) return value;
  throw new TenonError("USAGE", {
    problem: what,
    given: String(value),
    expected: `a whole number from ${min} on`,
  });
}
