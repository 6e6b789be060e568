/** RouteDoc: what the row of a route says of itself, from which the OpenAPI document is made. */
import { ERROR_CODES, type ErrorCode, type TenonError } from "../../base/index.js";
import type { SchemaName } from "./schemas.js";

/** How a family of routes writes its errors. */
export interface ErrorDialect {
  readonly schema: SchemaName;
  readonly statusOf: (code: ErrorCode) => number;
  /** The body, also of refusals before the route is reached. Default: `{ error: text }`. */
  readonly bodyOf?: (error: TenonError, text: string) => object;
  /** Statuses that hang on more than the code. */
  readonly also?: readonly number[];
}

/** What a route takes and answers. */
export interface RouteDoc {
  readonly summary: string;
  /** The JSON body; absent: none is read. */
  readonly body?: SchemaName;
  /** A request without a body is refused. */
  readonly bodyNeeded?: boolean;
  /** Also takes and gives tensors as bytes behind the JSON. */
  readonly binary?: boolean;
  /** Names of the query. */
  readonly query?: readonly string[];
  /** The JSON of the answer 200; absent: it has no body. */
  readonly answer?: SchemaName;
  /** The answer 200 is a text of this media type. */
  readonly text?: string;
  /** What the route itself may fail with, beside what every route with such a path and body may. */
  readonly fails?: readonly ErrorCode[];
  /** Answers with these statuses that are no errors: their JSON, or null for none. */
  readonly also?: Readonly<Record<number, SchemaName | null>>;
  /** Default: the protocol's own. */
  readonly dialect?: ErrorDialect;
}

/** What may become of a request that is run by a model. */
export const RUN_FAILS: readonly ErrorCode[] = [
  ...(Object.keys(ERROR_CODES) as ErrorCode[]).filter((code) => code.startsWith("INPUT_")),
  "MODEL_UNAVAILABLE",
  "MODEL_UNSUPPORTED",
  "MODEL_CRASHED",
  "OUTPUT_UNKNOWN",
  "REQUEST_NOT_FOUND",
  "QUEUE_FULL",
  "QUEUE_TIMEOUT",
  "DEADLINE",
  "CANCELLED",
  "ENGINE_CLOSED",
  "ENGINE_FAILED",
];

/** What may become of a request about texts. */
export const TEXT_FAILS: readonly ErrorCode[] = [...RUN_FAILS, "DIMS_MISMATCH", "TEXT_TOO_LONG", "USAGE"];
