/** The heads of requests that need no parser of HTTP's corners: an infer request, its length announced, nothing unusual. */
import type { IncomingHttpHeaders } from "node:http";

export interface PlainHead {
  /** Without its query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** Bytes of the body. */
  readonly length: number;
}

const REQUEST = /^POST (\/v2\/models\/[A-Za-z0-9._-]{1,128}(?:\/versions\/[0-9]{1,18})?\/infer) HTTP\/1\.1$/;

/** A field as RFC 9110 has it, on one line, its name directly before the colon. */
const FIELD = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[\t ]*([\t\x20-\x7e\x80-\xff]*?)[\t ]*$/;

/** Headers that say how the message is to be read, or that need a look of their own. */
const UNUSUAL: ReadonlySet<string> = new Set([
  ...["transfer-encoding", "content-encoding", "expect", "upgrade", "te", "trailer", "keep-alive"],
  ...["proxy-connection", "http2-settings", "origin", "sec-fetch-site"],
]);

const LENGTH = /^(?:0|[1-9][0-9]{0,8})$/;

/**
 * Reads a head without its empty line, of at most `mostHeaders`. Undefined for everything that is not certainly plain: a
 * header that comes twice, one that is unusual, a line of any other form. Such a request is for node:http.
 */
export function plainHead(text: string, mostHeaders: number): PlainHead | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const request = REQUEST.exec(first);
  if (request === null || lines.length > mostHeaders) return undefined;
  const headers: IncomingHttpHeaders = Object.create(null);
  for (const line of lines) {
    const field = FIELD.exec(line);
    if (field === null) return undefined;
    const name = field[1]!.toLowerCase();
    if (UNUSUAL.has(name) || headers[name] !== undefined) return undefined;
    headers[name] = field[2]!;
  }
  const { host, connection = "keep-alive", "content-length": length = "" } = headers;
  if (host === undefined || connection.toLowerCase() !== "keep-alive" || !LENGTH.test(length))
    return undefined;
  return { path: request[1]!, headers, length: Number(length) };
}
