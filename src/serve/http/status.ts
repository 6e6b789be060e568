/** The HTTP status of every error code, and which of them a client may try again. */
import type { ErrorCode } from "../../base/index.js";

/** Total, so that a new code does not compile before it has its status. 499 is nginx's "client closed request". */
export const STATUS: { readonly [Code in ErrorCode]: number } = {
  INTERNAL: 500,
  USAGE: 500,
  CONFIG_INVALID: 500,
  FILE_NOT_FOUND: 500,
  FILE_INVALID: 500,
  DEPENDENCY_MISSING: 500,
  TENSOR_SHAPE: 500,
  TENSOR_DTYPE: 500,
  TENSOR_VALUE: 400,
  MODEL_INVALID: 400,
  MODEL_UNSUPPORTED: 501,
  MODEL_NOT_FOUND: 404,
  MODEL_UNAVAILABLE: 503,
  MODEL_CRASHED: 500,
  INPUT_MISSING: 400,
  INPUT_UNKNOWN: 400,
  INPUT_DUPLICATE: 400,
  INPUT_DTYPE: 400,
  INPUT_SHAPE: 400,
  INPUT_BATCH: 400,
  INPUT_SIZE: 400,
  INPUT_VALUE: 400,
  INPUT_QUARANTINED: 400,
  OUTPUT_UNKNOWN: 400,
  REQUEST_INVALID: 400,
  REQUEST_NOT_FOUND: 404,
  REQUEST_METHOD: 405,
  REQUEST_TOO_LARGE: 413,
  REQUEST_TIMEOUT: 408,
  REQUEST_UNSUPPORTED: 501,
  REQUEST_FORBIDDEN: 403,
  QUEUE_FULL: 503,
  DEADLINE: 504,
  CANCELLED: 499,
  ENGINE_CLOSED: 503,
  ENGINE_LIBRARY: 500,
  ENGINE_FAILED: 500,
  ENGINE_PROVIDER: 500,
  SERVER_DRAINING: 503,
  ADDRESS_IN_USE: 500,
};

/** Seconds after which a refused request may be tried again, for the codes where waiting helps. */
export const RETRY_AFTER: Partial<Readonly<Record<ErrorCode, string>>> = {
  QUEUE_FULL: "1",
  MODEL_UNAVAILABLE: "1",
  SERVER_DRAINING: "1",
};
