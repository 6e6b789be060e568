/** What a step refuses: options that are none, and losses that lanes cannot compute. */
import { TenonError } from "../../base/index.js";
import type { CompileOptions } from "./options.js";

/** What lanes say of a loss of which they know nothing. */
export function notSplit(): TenonError {
  return new TenonError("USAGE", {
    problem: "the loss cannot be computed in lanes: it is not known to be a mean or a sum over rows",
    expected:
      'a loss of tenon/train with reduction "mean" (without weights or ignored labels) or "sum", or sums of such',
    do: 'take parallel "threads", or mark a mean or sum of your own: t.markMean(value), t.markSum(value)',
  });
}

/** Throws USAGE. */
export function checkOptions({
  accumulate = 1,
  average,
  clipNorm,
  threads = 1,
  shapes = 1,
}: CompileOptions): void {
  const whole = { accumulate, threads, shapes };
  for (const [name, value] of Object.entries(whole)) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new TenonError("USAGE", {
      problem: name,
      given: String(value),
      expected: "a whole number, 1 or more",
    });
  }
  if (average !== undefined && !(average >= 0 && average < 1))
    throw new TenonError("USAGE", { problem: "average", given: String(average), expected: "0 to below 1" });
  if (clipNorm !== undefined && !(clipNorm > 0))
    throw new TenonError("USAGE", { problem: "clipNorm", given: String(clipNorm), expected: "above 0" });
}
