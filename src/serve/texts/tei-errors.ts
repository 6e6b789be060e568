/** The errors of text-embeddings-inference's dialect: kinds and statuses by code. */
import type { ErrorCode } from "../../base/index.js";
import type { ErrorDialect } from "../openapi/route-doc.js";

/** What kind of failure a code is in this dialect, with its status. */
const KINDS: Partial<Readonly<Record<ErrorCode, readonly [kind: string, status: number]>>> = {
  REQUEST_UNAUTHORIZED: ["Validation", 401],
  REQUEST_FORBIDDEN: ["Validation", 403],
  REQUEST_METHOD: ["Validation", 405],
  REQUEST_INVALID: ["Validation", 413],
  REQUEST_TOO_LARGE: ["Validation", 413],
  DIMS_MISMATCH: ["Validation", 413],
  TEXT_TOO_LONG: ["Validation", 413],
  INPUT_VALUE: ["Validation", 413],
  USAGE: ["Validation", 413],
  QUEUE_FULL: ["Overloaded", 429],
  RATE_LIMITED: ["Overloaded", 429],
  ENGINE_CLOSED: ["Unhealthy", 503],
  MODEL_UNAVAILABLE: ["Unhealthy", 503],
  SERVER_DRAINING: ["Unhealthy", 503],
};

/** Its kind of failure, with its status. */
export function kindOf(code: ErrorCode): readonly [kind: string, status: number] {
  return KINDS[code] ?? ["Backend", 424];
}

export const TEI_ERRORS: ErrorDialect = {
  schema: "TeiError",
  bodyOf: ({ code }, text) => ({ error: text, error_type: kindOf(code)[0] }),
  statusOf: (code) => kindOf(code)[1],
  // An input that is empty, or a model that is not told apart; and failures.
  also: [400, 424],
};
