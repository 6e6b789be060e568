/** Claim: a lane gives a model's raw throughput; batch 1, items per CPU second against the synchronous native call. */
import type { ModelName } from "../../test/support/models.js";
import { alternate, type Bench, type Finding, perCpuSecond, perSecond, withSides } from "../harness/bench.js";
import { OURS } from "../harness/ours.js";
import { short, times } from "../harness/report.js";
import { PEERS } from "../peers/in-process.js";

const SIZES = { resnet50: "100 MB CNN", encoder: "6×384 encoder, S=64" } as const satisfies Partial<
  Record<ModelName, string>
>;

export const bench: Bench = {
  name: "lane-throughput",
  async run(effort) {
    const findings: Finding[] = [];
    for (const [model, label] of Object.entries(SIZES)) {
      const samples = await withSides(
        import.meta.url,
        {
          raw: { module: PEERS, side: "raw", settings: { model, threads: 1 } },
          ours: { module: OURS, side: "run", settings: { model, lanes: 1, maxBatch: 1 } },
        },
        (team) => alternate(team, effort, { clients: 2 }),
      );
      const ratio = perCpuSecond(samples.ours) / perCpuSecond(samples.raw);
      const wall = perSecond(samples.ours) / perSecond(samples.raw);
      findings.push({
        claim: `throughput of one lane, ${label}, batch 1, against raw synchronous \`binding.run\``,
        target: "≥ 0.95 items per CPU second",
        measured: `${times(ratio)} (${short(perCpuSecond(samples.ours))} against ${short(perCpuSecond(samples.raw))} per CPU second; wall ${times(wall)})`,
        met: ratio >= 0.95,
      });
    }
    return findings;
  },
};
