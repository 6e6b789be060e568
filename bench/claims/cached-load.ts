/** Claim: a model that was loaded before loads in a fraction of the time, in a fresh process. */
import { Engine } from "tenon/runtime";
import type { ModelName } from "../../test/support/models.js";
import { type Bench, medians, value, withSides } from "../harness/bench.js";
import { modelFile, modelMegabytes } from "../harness/model-files.js";
import { short } from "../harness/report.js";
import { type MakeSide, type Sample, type Sides, textSetting } from "../harness/side.js";
import { officialSession } from "../peers/binding.js";

/** Loads once; the engine is open before the clock starts, as the binding's library is. */
const ours: MakeSide = async (settings) => {
  const file = await modelFile(textSetting(settings, "model") as ModelName);
  const engine = await Engine.open();
  return {
    async measure(): Promise<Sample> {
      await engine.load(file);
      return {};
    },
    close: () => engine.close(),
  };
};

const official: MakeSide = async (settings) => {
  const file = await modelFile(textSetting(settings, "model") as ModelName);
  return {
    async measure(): Promise<Sample> {
      await officialSession(file);
      return {};
    },
    async close() {},
  };
};

export const sides: Sides = { ours, official };

/** A load in a new process. */
function loadOnce(side: string, model: ModelName): Promise<Sample> {
  return withSides(import.meta.url, { side: { side, settings: { model } } }, (team) => team.side.measure());
}

export const bench: Bench = {
  name: "cached-load",
  async run(effort) {
    const model = "resnet50";
    await loadOnce("ours", model);
    const cached: Sample[] = [];
    const cold: Sample[] = [];
    for (let round = 0; round < effort.rounds; round++) {
      cached.push(await loadOnce("ours", model));
      cold.push(await loadOnce("official", model));
    }
    const [mine, theirs] = [medians(cached), medians(cold)];
    const ratio = value(mine, "wallMs") / value(theirs, "wallMs");
    const cpu = value(mine, "cpuMs") / value(theirs, "cpuMs");
    return [
      {
        claim: `cached load of a CNN of ${(await modelMegabytes(model)).toFixed(0)} MB against the official binding's load`,
        target: "≤ 10 %",
        measured: `${(100 * ratio).toFixed(1)} % (${short(value(mine, "wallMs"))} against ${short(value(theirs, "wallMs"))} ms; CPU ${(100 * cpu).toFixed(1)} %)`,
        met: ratio <= 0.1,
      },
    ];
  },
};
