/** Claim: two lanes on two cores give nearly twice what one gives. */
import { alternate, type Bench, type Finding, perSecond, withSides } from "../harness/bench.js";
import { OURS } from "../harness/ours.js";
import { short, times } from "../harness/report.js";

const CASES = [
  { model: "encoder", label: "6×384 encoder, S=64", target: 1.8 },
  { model: "squeezenet", label: "squeezenet", target: 1.8 },
  { model: "resnet50", label: "100 MB CNN", target: undefined },
] as const;

export const bench: Bench = {
  name: "all-lanes",
  async run(effort) {
    const findings: Finding[] = [];
    for (const { model, label, target } of CASES) {
      const settings = { model, maxBatch: 1 };
      const { one, all } = await withSides(
        import.meta.url,
        {
          one: { module: OURS, side: "run", settings: { ...settings, lanes: 1 } },
          all: { module: OURS, side: "run", settings: { ...settings, lanes: 2 } },
        },
        (team) => alternate(team, effort, { clients: 4 }),
      );
      const ratio = perSecond(all) / perSecond(one);
      findings.push({
        claim: `two lanes against one, ${label}, batch 1`,
        target: target === undefined ? "reported" : `≥ ${target}×`,
        measured: `${times(ratio)} (${short(perSecond(all))} against ${short(perSecond(one))} items/s)`,
        met: target === undefined ? null : ratio >= target,
      });
    }
    return findings;
  },
};
