/** InferenceError: what a server, or the way to it, refused. */

export interface InferenceErrorParts {
  /** HTTP status; 0 when no answer came. */
  readonly status: number;
  /** Tenon's error code, such as `MODEL_CRASHED`; absent from other servers. */
  readonly code?: string | undefined;
  /** Seconds after which another try makes sense, where the server says so. */
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** An answer that is not a success, or none at all. The message is the server's own text. */
export class InferenceError extends Error {
  override readonly name = "InferenceError";
  readonly status: number;
  readonly code: string | undefined;
  readonly retryAfter: number | undefined;

  constructor(message: string, parts: InferenceErrorParts) {
    super(message, parts.cause === undefined ? undefined : { cause: parts.cause });
    this.status = parts.status;
    this.code = parts.code;
    this.retryAfter = parts.retryAfter;
  }
}
