/** Claim: a second handle on a model's file costs little memory: the weights are there once. */
import { Engine } from "tenon/runtime";
import { MODELS, type ModelName } from "../../test/support/models.js";
import { alternate, type Bench, value, withSides } from "../harness/bench.js";
import { settledMegabytes } from "../harness/memory.js";
import { modelFile } from "../harness/model-files.js";
import { short } from "../harness/report.js";
import { type MakeSide, type Sample, type Sides, textSetting } from "../harness/side.js";
import { officialFeeds, officialSession } from "../peers/binding.js";

/** Two engines of one process, each with its own handle: nothing is shared but the file. */
const ours: MakeSide = async (settings) => {
  const name = textSetting(settings, "model") as ModelName;
  const file = await modelFile(name);
  const inputs = MODELS[name].inputs(1);
  const [first, second] = [await Engine.open(), await Engine.open()];
  await (await first.load(file)).run(inputs);
  return {
    async measure(): Promise<Sample> {
      const before = await settledMegabytes();
      const model = await second.load(file);
      await model.run(inputs);
      const after = await settledMegabytes();
      await model.unload();
      return { addedMb: after - before };
    },
    async close() {
      await first.close();
      await second.close();
    },
  };
};

const official: MakeSide = async (settings) => {
  const name = textSetting(settings, "model") as ModelName;
  const file = await modelFile(name);
  const feeds = officialFeeds(MODELS[name].inputs(1));
  const first = await officialSession(file);
  await first.run(feeds);
  return {
    async measure(): Promise<Sample> {
      const before = await settledMegabytes();
      const second = await officialSession(file);
      await second.run(feeds);
      const after = await settledMegabytes();
      await second.release();
      return { addedMb: after - before };
    },
    close: () => first.release(),
  };
};

export const sides: Sides = { ours, official };

export const bench: Bench = {
  name: "second-handle",
  async run(effort) {
    const settings = { model: "resnet50" };
    const flags = ["--expose-gc"];
    const samples = await withSides(
      import.meta.url,
      { ours: { side: "ours", settings, flags }, official: { side: "official", settings, flags } },
      (team) => alternate(team, { ...effort, rounds: 1 }),
    );
    const added = value(samples.ours, "addedMb");
    return [
      {
        claim: "anonymous memory of a second handle on the same 100 MB file",
        target: "≤ 20 MB",
        measured: `${short(added)} MB (official binding ${short(value(samples.official, "addedMb"))} MB)`,
        met: added <= 20,
      },
    ];
  },
};
