/** Claim: an encoder answers one caller as fast as a session of two threads, and 32 callers faster than single lanes. */
import { alternate, type Bench, perCpuSecond, perSecond, value, withSides } from "../harness/bench.js";
import { OURS } from "../harness/ours.js";
import { short, times } from "../harness/report.js";
import { PEERS } from "../peers/in-process.js";

export const bench: Bench = {
  name: "encoder",
  async run(effort) {
    const model = "encoder";
    const lone = await withSides(
      import.meta.url,
      {
        ours: { module: OURS, side: "run", settings: { model } },
        two: { module: PEERS, side: "official", settings: { model, threads: 2 } },
        spinning: { module: PEERS, side: "official", settings: { model, threads: 0 } },
      },
      (team) => alternate(team, effort, { clients: 1 }),
    );
    const many = await withSides(
      import.meta.url,
      {
        ours: { module: OURS, side: "run", settings: { model } },
        single: { module: OURS, side: "run", settings: { model, maxBatch: 1 } },
      },
      (team) => alternate(team, effort, { clients: 32 }),
    );
    const p50 = value(lone.ours, "p50Ms") / value(lone.two, "p50Ms");
    const rate = perSecond(many.ours) / perSecond(many.single);
    const cpu = perCpuSecond(many.ours) / perCpuSecond(many.single);
    return [
      {
        claim: "6×384 encoder, S=64, 1 caller, p50 against a session of 2 threads",
        target: "≤ 1.05×",
        measured: `${times(p50)} (${short(value(lone.ours, "p50Ms"))} against ${short(value(lone.two, "p50Ms"))} ms; with the library's spinning threads ${short(value(lone.spinning, "p50Ms"))} ms)`,
        met: p50 <= 1.05,
      },
      {
        claim: "6×384 encoder, S=64, 32 callers, against unbatched lanes of one thread",
        target: "≥ 1.12×",
        measured: `${times(rate)} (${short(perSecond(many.ours))} against ${short(perSecond(many.single))} items/s; per CPU second ${times(cpu)})`,
        met: rate >= 1.12,
      },
    ];
  },
};
