/** What model processes are allowed, and what is kept ready for them. */
import { BREAKER, type BreakerOptions } from "./breaker.js";

/** What is kept ready for a model whose process dies: nothing, an empty process, or one with the model loaded. */
export type Spare = "none" | "process" | "model";

export interface ProcessSettings {
  /** All models share one process. */
  readonly group: boolean;
  readonly lanes: number;
  readonly spare: Spare;
  /** Milliseconds of one run, after which it is stopped, by force if need be. */
  readonly runLimitMs: number;
  readonly loadTimeoutMs: number;
  /** Bytes by which the address space may grow; `auto`: three times the weights and 1 GiB. */
  readonly memoryLimit: number | "auto" | "off";
  readonly breaker: BreakerOptions;
  readonly cacheMaxBytes: number;
}

export const PROCESS_DEFAULTS = {
  spare: "process",
  runLimitMs: 30_000,
  loadTimeoutMs: 120_000,
  memoryLimit: "auto",
  breaker: BREAKER,
} as const;
