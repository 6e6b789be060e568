/** Failures of shards on their way between processes: which are worth another try, and how they are written down. */
import { ERROR_CODES, type ErrorCode, isTenonError, TenonError, toTenonError } from "../../base/index.js";

/** Errors that every further try would meet again: another plan, model, input or mapping, or bad data. */
const FINAL: ReadonlySet<ErrorCode> = new Set([
  "USAGE",
  "CONFIG_INVALID",
  "PLAN_MISMATCH",
  "ROWS_REFUSED",
  "FILE_INVALID",
  "MODEL_INVALID",
  "MODEL_UNSUPPORTED",
  "INPUT_MISSING",
  "INPUT_UNKNOWN",
  "INPUT_DTYPE",
  "INPUT_SHAPE",
  "TENSOR_DTYPE",
  "DEPENDENCY_MISSING",
]);

export function isFinal(error: unknown): boolean {
  return isTenonError(error) && FINAL.has(error.code);
}

/** An error as JSON. */
export function writeFailure(error: unknown): string {
  const { code, problem, given, expected, do: advice, cause } = toTenonError(error);
  const story = code === "INTERNAL" && cause instanceof Error ? `${problem}: ${cause.message}` : problem;
  return JSON.stringify({ code, problem: story, given, expected, do: advice });
}

/** The error of `writeFailure`; any other text becomes the problem of an INTERNAL error. */
export function readFailure(text: string): TenonError {
  let found: unknown;
  try {
    found = JSON.parse(text);
  } catch {
    return new TenonError("INTERNAL", { problem: text });
  }
  const field = (name: string): string | undefined => {
    const value = (found as Record<string, unknown> | null)?.[name];
    return typeof value === "string" ? value : undefined;
  };
  const [code, problem] = [field("code"), field("problem")];
  if (code === undefined || problem === undefined || !Object.hasOwn(ERROR_CODES, code))
    return new TenonError("INTERNAL", { problem: text });
  const parts = { given: field("given"), expected: field("expected"), do: field("do") };
  const known = Object.entries(parts).filter(([, value]) => value !== undefined);
  return new TenonError(code as ErrorCode, { problem, ...Object.fromEntries(known) });
}
