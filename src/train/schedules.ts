/** Learning-rate schedules: pure functions of the step, whose value multiplies the optimiser's rate. */
import { TenonError } from "../base/index.js";

/** Factor of step `step` (0 for the first) of `total` steps in all. */
export type Schedule = (step: number, total: number) => number;

/** A part at the start in which the rate rises evenly. */
export interface Warmup {
  /** Steps when 1 or more, a share of all steps below 1; default 0. */
  readonly warmup?: number;
}

/** Steps of a count that may be given as a share. */
function steps(given: number, total: number): number {
  if (!(given >= 0)) {
    throw new TenonError("USAGE", {
      problem: `a schedule does not take ${given} steps`,
      expected: "0 or more",
    });
  }
  return given < 1 ? Math.round(given * total) : Math.round(given);
}

/** Rises as (step + 1) / warmup, then follows `rest`, whose steps count from the end of the rise. */
function warmed(warmup: number, rest: Schedule): Schedule {
  return (step, total) => {
    const rise = steps(warmup, total);
    return step < rise ? (step + 1) / rise : rest(step - rise, Math.max(total - rise, 1));
  };
}

/** Always 1. */
export function constant({ warmup = 0 }: Warmup = {}): Schedule {
  return warmed(warmup, () => 1);
}

/** From `start` to `end` in even steps; default from 1 to 0. */
export function linear({
  warmup = 0,
  start = 1,
  end = 0,
}: Warmup & { readonly start?: number; readonly end?: number } = {}): Schedule {
  return warmed(warmup, (step, total) => start + (end - start) * Math.min(step / total, 1));
}

/** Half a cosine from 1 to `end` (default 0), as torch's CosineAnnealingLR. */
export function cosine({ warmup = 0, end = 0 }: Warmup & { readonly end?: number } = {}): Schedule {
  return warmed(
    warmup,
    (step, total) => end + (1 - end) * 0.5 * (1 + Math.cos(Math.PI * Math.min(step / total, 1))),
  );
}

/** Times `gamma` (default 0.1) after every `every` steps, as torch's StepLR. */
export function step({
  warmup = 0,
  every,
  gamma = 0.1,
}: Warmup & { readonly every: number; readonly gamma?: number }): Schedule {
  return warmed(warmup, (at, total) => gamma ** Math.floor(at / Math.max(1, steps(every, total))));
}

/** Times `gamma` at every step, as torch's ExponentialLR. */
export function exponential({ warmup = 0, gamma }: Warmup & { readonly gamma: number }): Schedule {
  return warmed(warmup, (at) => gamma ** at);
}

/** (1 − step / total)^power, as torch's PolynomialLR. */
export function polynomial({ warmup = 0, power = 1 }: Warmup & { readonly power?: number } = {}): Schedule {
  return warmed(warmup, (at, total) => (1 - Math.min(at / total, 1)) ** power);
}

/**
 * Up from 1 / `divide` to 1 and down to 1 / (`divide` × `finalDivide`) along cosines, as torch's OneCycleLR, whose
 * highest rate is the optimiser's here.
 */
export function oneCycle({
  rise = 0.3,
  divide = 25,
  finalDivide = 1e4,
}: {
  readonly rise?: number;
  readonly divide?: number;
  readonly finalDivide?: number;
} = {}): Schedule {
  if (!(rise >= 0 && rise <= 1)) {
    throw new TenonError("USAGE", { problem: `oneCycle does not take rise ${rise}`, expected: "0 to 1" });
  }
  const between = (from: number, to: number, share: number): number =>
    to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
  return (at, total) => {
    const top = rise * total - 1;
    if (at < top) return between(1 / divide, 1, at / top);
    if (at === top) return 1;
    return between(1, 1 / (divide * finalDivide), Math.min((at - top) / (total - 1 - top), 1));
  };
}

/** One schedule after the other: each but the last for its own number (or share) of steps. */
export function sequence(
  parts: readonly { readonly schedule: Schedule; readonly steps?: number }[],
): Schedule {
  return (at, total) => {
    let start = 0;
    for (const [index, part] of parts.entries()) {
      const length = part.steps === undefined ? total - start : steps(part.steps, total);
      if (at < start + length || index === parts.length - 1) return part.schedule(at - start, length);
      start += length;
    }
    return 1;
  };
}
