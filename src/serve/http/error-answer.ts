/** The answer that an error becomes: status, headers and body; the log has what is not for clients. */
import type { ErrorCode, TenonError } from "../../base/index.js";
import { type ErrorContext, errorText } from "../oip/errors.js";
import type { HeaderList, OpenExchange } from "./open-exchange.js";
import { RETRY_AFTER, STATUS } from "./status.js";

export interface ErrorAnswer {
  readonly status: number;
  readonly headers: HeaderList;
  /** Of one unit per byte, which leaves together with the headers. */
  readonly body: string;
}

/** Refusals that are not worth reading a body for. */
const UNREAD: ReadonlySet<ErrorCode> = new Set([
  "REQUEST_TOO_LARGE",
  "REQUEST_UNAUTHORIZED",
  "REQUEST_FORBIDDEN",
]);

/** Whether a connection ends behind such a refusal, whose request's body is not read. */
export function leavesUnread(code: ErrorCode | undefined): boolean {
  return code !== undefined && UNREAD.has(code);
}

export function errorAnswer(exchange: OpenExchange, error: TenonError): ErrorAnswer {
  const { settings } = exchange.exchanges;
  const { code, details } = error;
  const status = code === "REQUEST_TOO_LARGE" && details.headers === true ? 431 : STATUS[code];
  if (status === 500) settings.log?.error({ id: exchange.id, code, err: error }, error.message);
  const headers = ["Content-Type", "application/json"];
  const retryAfter = typeof details.retryAfter === "number" ? details.retryAfter : RETRY_AFTER[code];
  if (retryAfter !== undefined) headers.push("Retry-After", String(retryAfter));
  if (code === "REQUEST_UNAUTHORIZED") headers.push("WWW-Authenticate", "Bearer");
  if (typeof details.allowed === "string") headers.push("Allow", details.allowed);
  if (typeof details.acceptEncoding === "string") headers.push("Accept-Encoding", details.acceptEncoding);
  const context: ErrorContext = {
    model: exchange.model?.name ?? "",
    maxBatch: exchange.model?.maxBatch ?? 0,
    id: exchange.bodyId,
  };
  const text = JSON.stringify(bodyOf(exchange, error, errorText(error, context)));
  return { status, headers, body: Buffer.from(text).toString("latin1") };
}

/** As the clients of the path read errors. */
function bodyOf({ exchanges, path }: OpenExchange, error: TenonError, text: string): object {
  return exchanges.dialectOf(path)?.bodyOf?.(error, text) ?? { error: text };
}
