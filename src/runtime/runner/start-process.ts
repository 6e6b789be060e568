/** A model process as engines start them. */
import { ModelProcess } from "./model-process.js";

const MEMORY_BYTES = 2 ** 30;
const START_TIMEOUT_MS = 120_000;

/** Throws what `ModelProcess.start` throws. */
export function startProcess(lanes: number): Promise<ModelProcess> {
  return ModelProcess.start({ lanes, memoryBytes: MEMORY_BYTES, startTimeoutMs: START_TIMEOUT_MS });
}
