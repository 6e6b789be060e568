/** Claim: 64 callers of a small model are served in batches, many times faster than one by one. */
import { alternate, type Bench, perSecond, value, withSides } from "../harness/bench.js";
import { OURS } from "../harness/ours.js";
import { short, times } from "../harness/report.js";
import { PEERS } from "../peers/in-process.js";

export const bench: Bench = {
  name: "batching",
  async run(effort) {
    const { batched, single, official } = await withSides(
      import.meta.url,
      {
        batched: { module: OURS, side: "run", settings: { model: "mlp" } },
        single: { module: OURS, side: "run", settings: { model: "mlp", maxBatch: 1 } },
        official: { module: PEERS, side: "official", settings: { model: "mlp", threads: 1 } },
      },
      (team) => alternate(team, effort, { clients: 64 }),
    );
    const ratio = perSecond(batched) / perSecond(single);
    return [
      {
        claim: "small MLP, 64 callers, batched against unbatched",
        target: "≥ 8×",
        measured: `${times(ratio)} (${short(perSecond(batched))} against ${short(perSecond(single))} items/s, p99 ${short(value(batched, "p99Ms"))} against ${short(value(single, "p99Ms"))} ms; official \`session.run\` ${short(perSecond(official))} items/s)`,
        met: ratio >= 8,
      },
    ];
  },
};
