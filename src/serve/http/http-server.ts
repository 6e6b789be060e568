/** The HTTP server of a process that speaks to clients: its limits, and answers to what never became a request. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { Socket } from "node:net";
import type { TlsOptions } from "node:tls";
import type { ErrorCode } from "../../base/index.js";
import { expectBody } from "./body.js";
import { SilentConnections } from "./silent-connections.js";

/** How often open connections are looked at for their time limits, in milliseconds. */
const CHECK_INTERVAL = 1000;

/** Limits of connections, under the names of their settings. */
export interface HttpLimits {
  readonly headerBytes: number;
  readonly headerCount: number;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly keepAlive: number;
}

export interface HttpServer {
  readonly server: Server;
  readonly silent: SilentConnections;
}

type Handle = (req: IncomingMessage, res: ServerResponse) => void;

/** A server that does not listen yet. */
export function createHttpServer(
  { headerBytes, headerCount, headersTimeout, requestTimeout, keepAlive }: HttpLimits,
  tls: TlsOptions | undefined,
  handle: Handle,
): HttpServer {
  // The two time limits and the interval belong together, and only here: assigned later, slow bodies are never closed.
  const options = {
    headersTimeout: Math.min(headersTimeout, requestTimeout),
    requestTimeout,
    connectionsCheckingInterval: CHECK_INTERVAL,
    keepAliveTimeout: keepAlive,
    // The parser refuses from this many bytes of URL, names and values on.
    maxHeaderSize: headerBytes + 1,
    noDelay: true,
    // Refused by the handler, in the form of all refusals.
    requireHostHeader: false,
  };
  const server =
    tls === undefined ? createServer(options, handle) : createTlsServer({ ...options, ...tls }, handle);
  const silent = new SilentConnections(server);
  // One more than allowed, so that a request with too many is refused instead of cut.
  server.maxHeadersCount = headerCount + 1;
  server.on("checkContinue", (req, res) => {
    expectBody(req, res);
    handle(req, res);
  });
  server.on("checkExpectation", (req, res) => checkExpectation(req, res, handle));
  server.on("clientError", refuseBroken);
  return { server, silent };
}

/** An empty `Expect:` header, which some clients send, means nothing; other expectations cannot be met. */
function checkExpectation(req: IncomingMessage, res: ServerResponse, handle: Handle): void {
  if (req.headers.expect === "") {
    handle(req, res);
    return;
  }
  const body = '{"error":"Expectation Failed"}';
  res.writeHead(417, {
    "Content-Type": "application/json",
    "Content-Length": body.length,
    "x-tenon-error": "REQUEST_INVALID" satisfies ErrorCode,
    Connection: "close",
  });
  res.end(body);
}

interface Refusal {
  readonly status: string;
  readonly code: ErrorCode;
  readonly text: string;
}

const REFUSALS: Readonly<Record<string, Refusal>> = {
  HPE_HEADER_OVERFLOW: {
    status: "431 Request Header Fields Too Large",
    code: "REQUEST_TOO_LARGE",
    text: "URL and headers of the request are too large; the limit is --header-bytes",
  },
  HPE_CHUNK_EXTENSIONS_OVERFLOW: {
    status: "413 Payload Too Large",
    code: "REQUEST_TOO_LARGE",
    text: "chunk extensions are too large",
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    status: "408 Request Timeout",
    code: "REQUEST_TIMEOUT",
    text: "the request came too slowly",
  },
};

const MALFORMED: Refusal = {
  status: "400 Bad Request",
  code: "REQUEST_INVALID",
  text: "malformed HTTP request",
};

/** Refuses a connection on which nothing came in time. */
export function refuseLate(socket: Socket): void {
  refuseBroken(Object.assign(new Error("nothing came"), { code: "ERR_HTTP_REQUEST_TIMEOUT" }), socket);
}

/** Answers what never became a request, or stopped being one, and closes the connection. */
function refuseBroken(error: NodeJS.ErrnoException, stream: unknown): void {
  const socket = stream as Socket; // node:http hands over the connection's socket
  const { code: reason = "" } = error;
  // Only a parser's complaint has a client that speaks HTTP: others reset the connection, or failed to speak TLS.
  if (!socket.writable || !(reason.startsWith("HPE_") || Object.hasOwn(REFUSALS, reason))) {
    socket.destroy();
    return;
  }
  const { status, code, text } = REFUSALS[reason] ?? MALFORMED;
  const body = JSON.stringify({ error: text });
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: application/json\r\n` +
      `Content-Length: ${body.length}\r\nx-tenon-error: ${code}\r\n\r\n${body}`,
  );
}
