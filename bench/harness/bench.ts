/** A bench: one claim, the sides that it compares, and what came out. */

import type { Sample, Settings } from "./side.js";
import { type RunningSide, type StartOptions, startSide } from "./start-side.js";
import { median } from "./statistics.js";

/** How long and how often a bench measures. */
export interface Effort {
  /** Measured seconds of one side in one round. */
  readonly seconds: number;
  /** Rounds, in each of which every side is measured once. */
  readonly rounds: number;
  /** Part of the full count of the long loops (1M runs, 100k refused requests). */
  readonly share: number;
}

/** One row of the table. */
export interface Finding {
  readonly claim: string;
  readonly target: string;
  readonly measured: string;
  /** null: reported without a target. */
  readonly met: boolean | null;
}

export interface Bench {
  readonly name: string;
  run(effort: Effort): Promise<readonly Finding[]>;
}

/** Sides by the name under which the bench speaks of them. */
export type Team<Name extends string> = Readonly<Record<Name, RunningSide>>;

/** A side to start: its name in the module's `sides`, with its settings. */
export interface Wanted extends StartOptions {
  readonly side: string;
  /** The module that exports it; default: the bench's own. */
  readonly module?: string;
}

/** Starts the sides, gives them to `use` and closes them, also when it throws. */
export async function withSides<Name extends string, R>(
  moduleUrl: string,
  wanted: Readonly<Record<Name, Wanted>>,
  use: (team: Team<Name>) => Promise<R>,
): Promise<R> {
  const team: Partial<Record<Name, RunningSide>> = {};
  try {
    for (const name of Object.keys(wanted) as Name[]) {
      const options: Wanted = wanted[name];
      team[name] = await startSide(options.module ?? moduleUrl, options.side, options);
    }
    return await use(team as Team<Name>);
  } finally {
    await Promise.all(Object.values<RunningSide | undefined>(team).map((side) => side?.close()));
  }
}

/** Measures the sides in turn, the order reversed in every second round, and gives the median of each number. */
export async function alternate<Name extends string>(
  team: Team<Name>,
  effort: Effort,
  settings: Settings = {},
  measure: (side: RunningSide, name: Name) => Promise<Sample> = (side) =>
    side.measure({ seconds: effort.seconds, ...settings }),
): Promise<Readonly<Record<Name, Sample>>> {
  const names = Object.keys(team) as Name[];
  const samples = new Map<Name, Sample[]>(names.map((name) => [name, []]));
  for (let round = 0; round < effort.rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      samples.get(name)!.push(await measure(team[name], name));
    }
  }
  return Object.fromEntries(names.map((name) => [name, medians(samples.get(name)!)])) as Record<Name, Sample>;
}

/** The median of each number over the samples that have it. */
export function medians(samples: readonly Sample[]): Sample {
  const names = new Set(samples.flatMap((sample) => Object.keys(sample)));
  return Object.fromEntries(
    [...names].map((name) => [name, median(samples.flatMap((sample) => sample[name] ?? []))]),
  );
}

/** A number of a sample; throws when the side did not give it. */
export function value(sample: Sample, name: string): number {
  const found = sample[name];
  if (found === undefined) throw new Error(`no number "${name}" among ${Object.keys(sample).join(", ")}`);
  return found;
}

/** Items per second of CPU time, over all threads of the side. */
export function perCpuSecond(sample: Sample): number {
  return (1000 * value(sample, "items")) / value(sample, "cpuMs");
}

/** Items per second of wall time. */
export function perSecond(sample: Sample): number {
  return (1000 * value(sample, "items")) / value(sample, "wallMs");
}
