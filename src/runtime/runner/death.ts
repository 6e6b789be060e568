/** Death: how a model process ended, and what is told of that. */
import { TenonError } from "../../base/index.js";

/** Why the parent ended a process; undefined when it died by itself. */
export type KillReason = "deadline" | "lied" | "memory" | "timeout" | "stopped";

export interface Death {
  readonly pid: number;
  readonly signal: NodeJS.Signals | null;
  readonly code: number | null;
  readonly reason: KillReason | undefined;
  /** The run that took too long, when that is the reason. */
  readonly offender: object | undefined;
  /** What it last wrote to stderr; for logs only. */
  readonly stderr: string;
}

/** How it died, for people. */
export function describeDeath({ signal, code, reason }: Death): string {
  if (reason === "timeout") return "it took too long";
  if (reason === "memory") return "it used more memory than it may";
  if (reason === "deadline") return "a run took too long";
  if (reason === "lied") return "it broke the rules of its doorbell";
  return signal === null ? `it ended with code ${code}` : `it ended by ${signal}`;
}

export function notStarted(given: string): TenonError {
  return new TenonError("MODEL_UNAVAILABLE", { problem: "a model process did not start", given });
}

export function loadFailed(death: Death): TenonError {
  if (death.reason === "timeout") {
    return new TenonError("MODEL_UNAVAILABLE", {
      problem: "loading the model took longer than it may",
      do: "raise the load timeout",
    });
  }
  return new TenonError("MODEL_CRASHED", {
    problem: "the model's native code ended its process while it was loaded",
    given: describeDeath(death),
    cause: new Error(death.stderr),
  });
}

/** The model process wrote something that no honest one writes. */
export class LyingProcess extends TenonError {}

export function cancelled(): TenonError {
  return new TenonError("CANCELLED", { problem: "the run was terminated" });
}

/** `limitMs` where it is known. */
export function overTime(limitMs?: number): TenonError {
  return new TenonError("DEADLINE", {
    problem: "the run took longer than it may",
    ...(limitMs === undefined ? {} : { expected: `at most ${Math.round(limitMs)} ms` }),
  });
}

export function crashed(model: string, death: Death): TenonError {
  return new TenonError("MODEL_CRASHED", {
    details: { model },
    cause: new Error(`${describeDeath(death)}: ${death.stderr}`),
  });
}

export function unavailable(model: string, reason: string): TenonError {
  return new TenonError("MODEL_UNAVAILABLE", {
    problem: `model "${model}" cannot answer now`,
    given: reason,
    details: { model },
  });
}
