/** A bench: one claim, the sides that it compares, and what came out. */

import { availableParallelism, cpus } from "node:os";
import type { Sample, Settings } from "./side.js";
import { type RunningSide, type StartOptions, startSide } from "./start-side.js";
import { median } from "./statistics.js";

/** How long and how often a bench measures. */
export interface Effort {
  /** Measured seconds of one side in one round. */
  readonly seconds: number;
  /** Rounds, in each of which every side is measured once. */
  readonly rounds: number;
  /** How often a measurement is repeated at most while other programs take more than 5 % of the machine. */
  readonly tries: number;
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

type Measure<Name extends string> = (side: RunningSide, name: Name) => Promise<Sample>;

/** Measures the sides in turn (`alternateRounds`), and gives the median of each number. */
export async function alternate<Name extends string>(
  team: Team<Name>,
  effort: Effort,
  settings: Settings = {},
  measure?: Measure<Name>,
): Promise<Readonly<Record<Name, Sample>>> {
  const rounds = await alternateRounds(team, effort, settings, measure);
  return Object.fromEntries(
    (Object.keys(team) as Name[]).map((name) => [name, medians(rounds[name])]),
  ) as Record<Name, Sample>;
}

/**
 * Measures the sides in turn, the order reversed in every second round; gives each side's samples by round.
 * `foreign` is the part of the machine that other programs took meanwhile.
 */
export async function alternateRounds<Name extends string>(
  team: Team<Name>,
  effort: Effort,
  settings: Settings = {},
  measure: Measure<Name> = (side) => side.measure({ seconds: effort.seconds, ...settings }),
): Promise<Readonly<Record<Name, readonly Sample[]>>> {
  const names = Object.keys(team) as Name[];
  const samples = new Map<Name, Sample[]>(names.map((name) => [name, []]));
  for (let round = 0; round < effort.rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      samples.get(name)!.push(await undisturbed(effort.tries, () => measure(team[name], name)));
    }
  }
  return Object.fromEntries(samples) as Record<Name, Sample[]>;
}

const DISTURBED = 0.05;

/** The first measurement during which other programs took little of the machine, else the least disturbed one. */
async function undisturbed(tries: number, measure: () => Promise<Sample>): Promise<Sample> {
  let best: Sample | undefined;
  for (let attempt = 0; attempt < tries; attempt++) {
    const busy = machineBusyMs();
    const start = performance.now();
    const sample = await measure();
    const own = (sample.cpuMs ?? 0) + (sample.clientCpuMs ?? 0);
    const capacity = (performance.now() - start) * availableParallelism();
    const foreign = Math.max(0, (machineBusyMs() - busy - own) / capacity);
    if (best === undefined || foreign < value(best, "foreign")) best = { ...sample, foreign };
    if (foreign <= DISTURBED) break;
  }
  foreignShares.push(value(best!, "foreign"));
  return best!;
}

const foreignShares: number[] = [];

/** The median of `foreign` over the measurements since the last call. */
export function takeForeignShare(): number {
  return median(foreignShares.splice(0));
}

/** CPU time that all programs together have used on this machine. */
function machineBusyMs(): number {
  return cpus().reduce((sum, { times }) => sum + times.user + times.nice + times.sys + times.irq, 0);
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
