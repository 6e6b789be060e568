/** Search spaces of sweeps: what each parameter may be, and what it is in a trial. */
import { TenonError } from "../../base/index.js";
import { keyOf } from "../random.js";

export type Value = number | string;

/** What a parameter is drawn from. */
export type Range<V extends Value = Value> =
  | {
      readonly kind: "even" | "log" | "whole";
      readonly low: number;
      readonly high: number;
      readonly value?: V;
    }
  | { readonly kind: "choice"; readonly values: readonly V[] };

/** Ranges by the names of parameters. */
export type Space = Readonly<Record<string, Range>>;

/** The parameters of a trial. */
export type Parameters<S extends Space> = {
  readonly [K in keyof S]: S[K] extends Range<infer V> ? V : never;
};

function range(kind: "even" | "log" | "whole", low: number, high: number): Range<number> {
  const isOrdered = Number.isFinite(low) && Number.isFinite(high) && low <= high;
  const fits =
    kind === "log"
      ? low > 0
      : kind === "whole"
        ? Number.isSafeInteger(low) && Number.isSafeInteger(high)
        : true;
  if (isOrdered && fits) return { kind, low, high };
  throw new TenonError("USAGE", {
    problem: `a range of kind ${kind}`,
    given: `${low} to ${high}`,
    expected: `two ${kind === "whole" ? "whole" : "finite"} numbers, the lower one first${kind === "log" ? " and above 0" : ""}`,
  });
}

/** Any number from `low` to below `high`, each alike. */
export const between = (low: number, high: number): Range<number> => range("even", low, high);
/** Any number from `low` (above 0) to below `high`, each order of magnitude alike: for rates. */
export const logBetween = (low: number, high: number): Range<number> => range("log", low, high);
/** A whole number from `low` to `high`, both possible. */
export const wholeBetween = (low: number, high: number): Range<number> => range("whole", low, high);

/** One of these, each alike. */
export function oneOf<const V extends Value>(...values: readonly V[]): Range<V> {
  if (values.length > 0) return { kind: "choice", values };
  throw new TenonError("USAGE", { problem: "oneOf without values", expected: "one at least" });
}

/** A name as 32 bits (FNV-1a). */
function hashOf(name: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 0x01000193);
  return hash >>> 0;
}

/**
 * The parameters of trial number `trial` (0 for the first): the same for the same seed, whatever trials were drawn before
 * and whatever other parameters the space has.
 */
export function drawTrial<const S extends Space>(space: S, seed: number, trial: number): Parameters<S> {
  const drawn = Object.entries(space).map(([name, each]): [string, Value] => {
    const share = keyOf(seed, trial, hashOf(name)) / 2 ** 32;
    if (each.kind === "choice") return [name, each.values[Math.floor(share * each.values.length)]!];
    const { kind, low, high } = each;
    if (kind === "whole") return [name, low + Math.floor(share * (high - low + 1))];
    return [name, kind === "even" ? low + share * (high - low) : low * (high / low) ** share];
  });
  // A value of each range, under its name.
  return Object.fromEntries(drawn) as Parameters<S>;
}

/** Decides what a trial draws itself: initial weights, order of rows. */
export const trialSeed = (seed: number, trial: number): number => keyOf(seed, trial);
