/** Claim: the event loop stays free while both cores infer. */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { alternate, type Bench, value, withSides } from "../harness/bench.js";
import { sides as ours } from "../harness/ours.js";
import { short } from "../harness/report.js";
import type { MakeSide, Sides } from "../harness/side.js";
import { sides as peers } from "../peers/in-process.js";

/** The histogram's own resolution, which it adds to every value. */
const RESOLUTION_MS = 1;
const TARGET_MS = 5;

/** The same side, whose samples also hold the event loop's delay. */
function watched(make: MakeSide): MakeSide {
  return async (settings) => {
    const side = await make(settings);
    return {
      ...side,
      async measure(given) {
        const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
        delay.enable();
        const sample = await side.measure(given);
        delay.disable();
        const ms = (nanoseconds: number): number => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
        return { ...sample, delayP50Ms: ms(delay.percentile(50)), delayP99Ms: ms(delay.percentile(99)) };
      },
    };
  };
}

export const sides: Sides = { ours: watched(ours.run!), official: watched(peers.official!) };

export const bench: Bench = {
  name: "event-loop",
  async run(effort) {
    const model = "squeezenet";
    const samples = await withSides(
      import.meta.url,
      {
        ours: { side: "ours", settings: { model } },
        official: { side: "official", settings: { model, threads: 2 } },
      },
      (team) => alternate(team, effort, { clients: 8 }),
    );
    const delay = value(samples.ours, "delayP99Ms");
    const theirs = value(samples.official, "delayP99Ms");
    return [
      {
        claim: "event-loop delay p99 while both cores infer, squeezenet, 8 callers",
        target: `≤ ${TARGET_MS} ms`,
        measured: `${short(delay)} ms (official binding, 2 threads: ${short(theirs)} ms)`,
        met: delay <= TARGET_MS,
      },
    ];
  },
};
