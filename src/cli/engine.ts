/** The engine of a command, opened with the settings that were resolved. */
import { type Knobs, on } from "../base/index.js";
import { Engine, type EngineOptions, type FirstProcess } from "../runtime/index.js";
import { useLibrary } from "./ort-library.js";
import { warn } from "./terminal.js";

/**
 * Opens an engine whose lanes have the thread pool to themselves (see main.cts). `first`: a process that was begun
 * already.
 */
export async function openEngine(
  values: Knobs,
  {
    lanes = values.lanes,
    isolation = "inline",
    first,
  }: Pick<EngineOptions, "lanes" | "isolation"> & { readonly first?: FirstProcess | undefined } = {},
): Promise<Engine> {
  useLibrary(values);
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
        first,
      },
    });
  } finally {
    stop();
  }
}
