/** Tenon inside a program, as sides. */
import { Engine, type EngineOptions, type LoadOptions } from "tenon/runtime";
import { MODELS, type ModelName } from "../../test/support/models.js";
import { closedLoop, syncLoop } from "./loops.js";
import { modelFile } from "./model-files.js";
import { type MakeSide, numberSetting, type Settings, type Sides, textSetting } from "./side.js";

/** A new model measures its batch sizes while nothing else runs. */
const CALIBRATION_MS = 1000;

/** Settings `lanes`, `dedicatedPool` and `maxBatch`, where given, are the engine's and the model's; `model` is loaded. */
export async function openModel(settings: Settings) {
  const name = textSetting(settings, "model") as ModelName;
  const engine = await Engine.open(engineOptions(settings));
  const model = await engine.load(await modelFile(name), loadOptions(settings));
  await new Promise((resolve) => setTimeout(resolve, CALIBRATION_MS));
  return { engine, model, name };
}

function engineOptions(settings: Settings): EngineOptions {
  return {
    ...(settings.lanes === undefined ? {} : { lanes: numberSetting(settings, "lanes") }),
    ...(settings.dedicatedPool === undefined ? {} : { dedicatedPool: settings.dedicatedPool === true }),
  };
}

function loadOptions(settings: Settings): LoadOptions {
  return settings.maxBatch === undefined ? {} : { batch: { max: numberSetting(settings, "maxBatch") } };
}

/** Callers of `model.run`. Measure: `seconds`, `clients`. */
const run: MakeSide = async (settings) => {
  const { engine, model, name } = await openModel(settings);
  const inputs = MODELS[name].inputs(1);
  await model.run(inputs);
  return {
    measure: (given) =>
      closedLoop(numberSetting(given, "seconds"), numberSetting(given, "clients"), () => model.run(inputs)),
    close: () => engine.close(),
  };
};

/** Back-to-back `model.runSync`. Measure: `seconds`. */
const runSync: MakeSide = async (settings) => {
  const { engine, model, name } = await openModel(settings);
  const inputs = MODELS[name].inputs(1);
  model.runSync(inputs);
  return {
    measure: async (given) => syncLoop(numberSetting(given, "seconds"), () => model.runSync(inputs)),
    close: () => engine.close(),
  };
};

export const sides: Sides = { run, runSync };

/** Where these sides are found by `startSide`. */
export const OURS = import.meta.url;
