/** Claim: what `await model.run` adds to the native call for a lone caller. */
import type { ModelName } from "../../test/support/models.js";
import { alternate, type Bench, type Finding, value, withSides } from "../harness/bench.js";
import { OURS } from "../harness/ours.js";
import { PEERS } from "../peers/in-process.js";

const CASES: readonly ModelName[] = ["mlp", "cnn", "mlp1k", "squeezenet"];
const TARGET_US = 60;

export const bench: Bench = {
  name: "added-latency",
  async run(effort) {
    const findings: Finding[] = [];
    for (const model of CASES) {
      const { raw, ours, official } = await withSides(
        import.meta.url,
        {
          raw: { module: PEERS, side: "raw", settings: { model, threads: 1 } },
          ours: { module: OURS, side: "run", settings: { model } },
          official: { module: PEERS, side: "official", settings: { model, threads: 1 } },
        },
        (team) => alternate(team, effort, { clients: 1 }),
      );
      const base = value(raw, "p50Ms");
      const added = 1000 * (value(ours, "p50Ms") - base);
      const theirs = 1000 * (value(official, "p50Ms") - base);
      findings.push({
        claim: `latency that \`model.run\` adds to the raw call, p50, ${model}`,
        target: `≤ ${TARGET_US} µs`,
        measured: `${added.toFixed(1)} µs over ${(1000 * base).toFixed(1)} (official \`session.run\` ${theirs.toFixed(1)} µs)`,
        met: added <= TARGET_US,
      });
    }
    return findings;
  },
};
