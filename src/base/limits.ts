/** The one table of a server's limits: the setting that holds each, and what happens over it. */
import type { ErrorCode } from "./errors.js";
import type { KnobName } from "./knobs.js";

/** What a client sees when a limit is passed. */
export interface Limit {
  /** What is limited. */
  readonly what: string;
  /** HTTP status of the answer; `closed`: the connection ends without one. */
  readonly over: number | "closed";
  /** Code in `x-tenon-error`; undefined where nothing is answered. */
  readonly code?: ErrorCode;
  readonly note?: string;
}

/** Keys are names of settings. The limit itself is allowed; one more is not. */
export const LIMITS = {
  bodyMax: {
    what: "body with binary tensors",
    over: 413,
    code: "REQUEST_TOO_LARGE",
    note: "also of the decompressed body",
  },
  jsonBodyMax: { what: "JSON of a body", over: 413, code: "REQUEST_TOO_LARGE", note: "also decompressed" },
  jsonDepth: { what: "brackets inside each other", over: 400, code: "REQUEST_INVALID" },
  bodyChunks: { what: "chunks of one body", over: 413, code: "REQUEST_TOO_LARGE" },
  headerBytes: { what: "URL, header names and values", over: 431, code: "REQUEST_TOO_LARGE" },
  headerCount: { what: "headers", over: 431, code: "REQUEST_TOO_LARGE" },
  headersTimeout: {
    what: "time until the headers are there",
    over: 408,
    code: "REQUEST_TIMEOUT",
    note: "looked at every second",
  },
  requestTimeout: {
    what: "time until the whole request is there",
    over: 408,
    code: "REQUEST_TIMEOUT",
    note: "looked at every second",
  },
  replyTimeout: {
    what: "time that a client takes to read its answer",
    over: "closed",
    note: "looked at every second",
  },
  keepAlive: { what: "idle time of a connection", over: "closed" },
  connections: { what: "open connections", over: "closed", note: "of HTTP and of gRPC each" },
  tensorElements: { what: "elements of a tensor", over: 400, code: "REQUEST_INVALID" },
  tensorRank: { what: "dimensions of a tensor", over: 400, code: "REQUEST_INVALID" },
  stringBytes: { what: "one element of a string tensor", over: 400, code: "INPUT_SIZE" },
  queue: {
    what: "requests that wait for one model",
    over: 503,
    code: "QUEUE_FULL",
    note: "with `Retry-After`",
  },
  keyRequests: {
    what: "requests of one API key under way",
    over: 429,
    code: "RATE_LIMITED",
    note: "with `Retry-After`",
  },
  crashStrikes: {
    what: "requests of one API key, or address, that end the process of a model within a minute",
    over: 429,
    code: "RATE_LIMITED",
    note: "on this model, for a minute, with `Retry-After`",
  },
  runDeadline: { what: "time of one run, waiting included", over: 504, code: "DEADLINE" },
  loadTimeout: {
    what: "time of loading a model",
    over: 400,
    code: "MODEL_UNAVAILABLE",
    note: "what served before goes on",
  },
  drain: { what: "time that requests under way have at the end of the server", over: "closed" },
} as const satisfies Readonly<Partial<Record<KnobName, Limit>>>;

export type LimitName = keyof typeof LIMITS;

export const LIMIT_NAMES = Object.keys(LIMITS) as readonly LimitName[];

/** One row of the table, with its wide type. */
export function limit(name: LimitName): Limit {
  return LIMITS[name];
}
