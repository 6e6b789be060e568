/** The engine of a command, opened with the settings that were resolved. */
import { type Knobs, on } from "../base/index.js";
import { Engine, type EngineOptions } from "../runtime/index.js";
import { warn } from "./terminal.js";

/**
 * Opens an engine whose lanes have the thread pool to themselves (see main.cts). `ortLib` reaches the loader of the
 * library by its variable, which a flag or a config file must set before the first load.
 */
export async function openEngine(
  values: Knobs,
  { lanes = values.lanes, isolation = "inline" }: Pick<EngineOptions, "lanes" | "isolation"> = {},
): Promise<Engine> {
  if (values.ortLib !== "auto") process.env.TENON_ORT_LIB = values.ortLib;
  const stop = on("engine:warning", ({ message }) => warn(message));
  try {
    return await Engine.open({
      lanes,
      cache: values.cache === "off" ? false : values.cache,
      cacheMaxBytes: values.cacheMax,
      queueLimit: values.queue,
      dedicatedPool: true,
      isolation,
      process: {
        runLimitMs: values.runDeadline,
        loadTimeoutMs: values.loadTimeout,
        memoryLimit: values.modelMemory,
        spare: values.spare,
      },
    });
  } finally {
    stop();
  }
}
