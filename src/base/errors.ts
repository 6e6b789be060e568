/** The one table of error codes and the one error class: what was given, what was expected, what to do. */

/** Every code a TenonError can carry, with the sentence that `docs/guide/errors.md` prints for it. */
export const ERROR_CODES = {
  INTERNAL: "A defect in Tenon itself; please report it with the cause.",
  USAGE: "A command or function was called with arguments it does not take.",
  CONFIG_INVALID: "A setting has a value outside its range, or its name is unknown.",
  FILE_NOT_FOUND: "A file or folder does not exist or cannot be read.",
  FILE_INVALID: "A file does not have the format that was expected.",
  DEPENDENCY_MISSING: "An optional package is needed and not installed.",
  TENSOR_SHAPE: "Shapes, axes or sizes do not fit together.",
  TENSOR_DTYPE: "A dtype is unknown or the operation does not take it.",
  TENSOR_VALUE: "A value cannot be stored in, or read from, a tensor of this dtype.",
  PLAN_MISMATCH:
    "The folder holds a scoring job or a training run of another plan, or model or input changed since it was planned.",
  ROWS_REFUSED: "Rows of a table cannot be scored, and the job was told to fail then.",
  INTERRUPTED: "The work was stopped before its end; it can be resumed.",
  TRAINING_DIVERGED: "Gradients were not finite for many updates in a row.",
  MODEL_INVALID: "The model file is damaged, truncated or breaks the ONNX specification.",
  MODEL_UNSUPPORTED: "The model is valid but uses something that this runtime cannot run.",
  MODEL_NOT_FOUND: "No model of this name or version is known.",
  MODEL_CONTROL_OFF: "Models cannot be loaded and unloaded through the API of this server.",
  MODEL_UNAVAILABLE: "The model is known but cannot answer now.",
  MODEL_CRASHED: "The model's native code ended its process while it ran this input.",
  INPUT_MISSING: "A required model input was not given.",
  INPUT_UNKNOWN: "An input was given that the model does not have.",
  INPUT_DUPLICATE: "An input was given twice.",
  INPUT_DTYPE: "An input has another dtype than the model's.",
  INPUT_SHAPE: "An input's rank or a fixed dimension differs from the model's.",
  INPUT_BATCH: "The inputs of one request differ in their batch size, or it is out of bounds.",
  INPUT_SIZE: "An input's bytes are not as many as its shape and dtype need.",
  INPUT_VALUE: "An input holds a value that its dtype cannot hold.",
  INPUT_QUARANTINED: "This very input has ended the model's process before; it is refused for some minutes.",
  OUTPUT_UNKNOWN: "An output was asked for that the model does not have.",
  REQUEST_INVALID: "A request is malformed.",
  REQUEST_NOT_FOUND: "No route of the server has this path.",
  REQUEST_METHOD: "The route exists, but not for this HTTP method.",
  REQUEST_TOO_LARGE: "A request is larger than the server's limit.",
  REQUEST_TIMEOUT: "A request's bytes came too slowly.",
  REQUEST_UNSUPPORTED: "A request asks for something that this server does not do.",
  REQUEST_UNAUTHORIZED: "A request shows no API key, or one that the server does not know.",
  REQUEST_FORBIDDEN: "A request came from a host or an origin that is not allowed.",
  RATE_LIMITED: "An API key is used more often, or for more requests at once, than it may be.",
  QUEUE_FULL: "Too many requests are waiting for this model.",
  QUEUE_TIMEOUT: "The request waited longer than the model's configuration allows.",
  DEADLINE: "The request's deadline passed, or cannot be met.",
  CANCELLED: "The caller cancelled the request.",
  ENGINE_CLOSED: "The engine or the model was closed before this call.",
  ENGINE_LIBRARY: "The ONNX Runtime library is missing, unusable or too old.",
  ENGINE_FAILED: "ONNX Runtime, DuckDB or polars reported an error, or ended, while it worked.",
  ENGINE_PROVIDER: "An execution provider is not available.",
  TEXT_TOO_LONG: "A text has more tokens than is allowed.",
  TOKENIZER_UNSUPPORTED: "A tokenizer uses a component that these tokenizers do not have.",
  UNKNOWN_POOLING: "The model does not say how its tokens become one vector, and it is not guessed.",
  DIMS_MISMATCH: "Vectors of this size cannot come from, or go into, this model.",
  GOLDEN_MISMATCH: "A model gives other vectors than it should.",
  MODEL_INCOMPLETE: "A model's folder lacks a file that it needs.",
  SERVER_DRAINING: "The server is shutting down and takes no new work.",
  ADDRESS_IN_USE: "The port is taken by another program.",
  SERVER_FAILED: "Another server did not answer, or refused what it was asked.",
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

/** What a TenonError is made of. `given`, `expected` and `do` become sentences of the message. */
export interface ErrorParts {
  /** One clause that names the problem; default: the code's own sentence. */
  readonly problem?: string;
  readonly given?: string;
  readonly expected?: string;
  readonly do?: string;
  /** Machine-readable facts (input name, dims, …), from which a protocol words its own text. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly cause?: unknown;
}

/**
 * The error that every public function throws. `code` is stable; the message may be reworded.
 * Messages never hold native source lines; those stay in `cause`.
 */
export class TenonError extends Error {
  readonly code: ErrorCode;
  /** The clause that names the problem; the message opens with it. */
  readonly problem: string;
  readonly given: string | undefined;
  readonly expected: string | undefined;
  readonly do: string | undefined;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, parts: ErrorParts = {}) {
    super(compose(code, parts), parts.cause === undefined ? undefined : { cause: parts.cause });
    this.name = "TenonError";
    this.code = code;
    this.problem = problemOf(code, parts);
    this.given = parts.given;
    this.expected = parts.expected;
    this.do = parts.do;
    this.details = parts.details ?? {};
  }
}

function problemOf(code: ErrorCode, parts: ErrorParts): string {
  return parts.problem ?? ERROR_CODES[code].replace(/\.$/, "");
}

function compose(code: ErrorCode, parts: ErrorParts): string {
  const clauses = [problemOf(code, parts)];
  if (parts.given !== undefined) clauses.push(`given: ${parts.given}`);
  if (parts.expected !== undefined) clauses.push(`expected: ${parts.expected}`);
  if (parts.do !== undefined) clauses.push(`do: ${parts.do}`);
  return clauses.join("; ");
}

/** True for an error of ours, optionally of one code. */
export function isTenonError(error: unknown, code?: ErrorCode): error is TenonError {
  return error instanceof TenonError && (code === undefined || error.code === code);
}

/** `error` itself when it is ours, else wrapped under `code` with the original kept as cause. */
export function toTenonError(error: unknown, code: ErrorCode = "INTERNAL"): TenonError {
  return error instanceof TenonError ? error : new TenonError(code, { cause: error });
}
