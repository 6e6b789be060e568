/** The first model process of an engine, begun before the rest of the runtime is read: that takes as long as its start. */
import { usableCores } from "./machine.js";
import { canShareMemory } from "./runner/libc.js";
import type { ModelProcess } from "./runner/model-process.js";
import { startProcess } from "./runner/start-process.js";

/** A process that starts; for `EngineOptions.process.first` of the engine that takes it over. */
export interface FirstProcess {
  readonly lanes: number;
  /** @internal */
  readonly started: Promise<ModelProcess>;
}

/**
 * Starts a process for an engine with so many lanes; undefined where models run inline. What makes it fail is told by
 * `Engine.open`. It ends with this process.
 */
export function beginProcess(lanes: number | "auto"): FirstProcess | undefined {
  if (!canShareMemory()) return undefined;
  const count = lanes === "auto" ? usableCores() : lanes;
  const started = startProcess(count);
  started.catch(() => undefined);
  return { lanes: count, started };
}
