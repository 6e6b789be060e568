/** The official binding inside a program, as sides: the raw synchronous call, and the session's promise. */
import { MODELS, type ModelName } from "../../test/support/models.js";
import { closedLoop, syncLoop } from "../harness/loops.js";
import { modelFile } from "../harness/model-files.js";
import { type MakeSide, numberSetting, type Sides, textSetting } from "../harness/side.js";
import { officialFeeds, officialSession, rawSession } from "./binding.js";

/** Back-to-back native calls. Settings: `model`, `threads`. Measure: `seconds`. */
const raw: MakeSide = async (settings) => {
  const model = textSetting(settings, "model") as ModelName;
  const session = rawSession(await modelFile(model), numberSetting(settings, "threads"));
  const feeds = officialFeeds(MODELS[model].inputs(1));
  session.run(feeds);
  return {
    measure: async (given) => syncLoop(numberSetting(given, "seconds"), () => session.run(feeds)),
    close: async () => session.dispose(),
  };
};

/** Callers of `InferenceSession.run`. Settings: `model`, `threads`. Measure: `seconds`, `clients`. */
const official: MakeSide = async (settings) => {
  const model = textSetting(settings, "model") as ModelName;
  const session = await officialSession(await modelFile(model), numberSetting(settings, "threads"));
  const feeds = officialFeeds(MODELS[model].inputs(1));
  await session.run(feeds);
  return {
    measure: (given) =>
      closedLoop(numberSetting(given, "seconds"), numberSetting(given, "clients"), () => session.run(feeds)),
    close: () => session.release(),
  };
};

export const sides: Sides = { raw, official };

/** Where these sides are found by `startSide`. */
export const PEERS = import.meta.url;
