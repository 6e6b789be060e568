/** The engine of a command, opened with the settings that were resolved. */
import { type Knobs, on } from "../base/index.js";
import { Engine } from "../runtime/index.js";
import { warn } from "./terminal.js";

/**
 * Opens an engine whose lanes have the thread pool to themselves (see main.cts). `ortLib` reaches the loader of the
 * library by its variable, which a flag or a config file must set before the first load.
 */
export async function openEngine(values: Knobs, lanes: number | "auto" = values.lanes): Promise<Engine> {
  if (values.ortLib !== "auto") process.env.TENON_ORT_LIB = values.ortLib;
  const stop = on("engine:warning", ({ message }) => warn(message));
  try {
    return await Engine.open({
      lanes,
      cache: values.cache === "off" ? false : values.cache,
      cacheMaxBytes: values.cacheMax,
      queueLimit: values.queue,
      dedicatedPool: true,
    });
  } finally {
    stop();
  }
}
