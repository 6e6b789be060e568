/** Why a request gets no answer of the model. */
import { TenonError } from "../base/index.js";

export function queueFull(model: string, waiting: number, limit: number): TenonError {
  return new TenonError("QUEUE_FULL", {
    given: `${waiting} waiting requests for model "${model}"`,
    expected: `at most ${limit}`,
    do: "send fewer requests at once, or try again later",
    details: { model, limit },
  });
}

export function cancelled(signal: AbortSignal): TenonError {
  return new TenonError("CANCELLED", { problem: "the caller cancelled the request", cause: signal.reason });
}

export function deadlinePassed(): TenonError {
  return new TenonError("DEADLINE", { problem: "the deadline passed before the answer was there" });
}

export function queueTimeout(): TenonError {
  return new TenonError("QUEUE_TIMEOUT", { do: "send fewer requests at once, or try again later" });
}

export function deadlineUnreachable(needsMs: number, leftMs: number): TenonError {
  return new TenonError("DEADLINE", {
    problem: "the deadline cannot be met",
    given: `${leftMs.toFixed(1)} ms left`,
    expected: `at least the ${needsMs.toFixed(1)} ms that one run takes`,
    do: "allow more time, or send fewer requests at once",
  });
}
