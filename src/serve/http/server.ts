/** serve: a listening HTTP server around a handler, with its limits set and an orderly end. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { Server as TlsServer } from "node:tls";
import { type ErrorCode, emit, KNOBS, type Knobs, TenonError, toTenonError } from "../../base/index.js";
import type { Engine } from "../../runtime/index.js";
import type { GrpcServer } from "../grpc/server.js";
import { expectBody } from "./body.js";
import { Certificate } from "./certificate.js";
import { isAllowedHost } from "./guard.js";
import { type Handler, makeHandler, makeOip } from "./handler.js";
import { KeyRing } from "./key-ring.js";
import { type HandlerOptions, resolveSettings } from "./settings.js";
import { SilentConnections } from "./silent-connections.js";

/** How often open connections are looked at for their time limits, in milliseconds. */
const CHECK_INTERVAL = 1000;

type ServerKnobs = Pick<
  Knobs,
  | "host"
  | "tlsCert"
  | "tlsKey"
  | "headerBytes"
  | "connections"
  | "headersTimeout"
  | "requestTimeout"
  | "keepAlive"
  | "drain"
  | "grpcStreams"
>;

/** Options of `serve`: those of `createHandler`, and where and how to listen. Defaults are those of `tenon env`. */
export interface ServeOptions extends HandlerOptions, Partial<ServerKnobs> {
  /** Default 8000; 0 takes any free port. */
  readonly port?: number;
  /** Port of the gRPC service; 0 takes any free one. Default `off`. */
  readonly grpcPort?: number | "off";
  /** Port on which the metrics are served without a key; 0 takes any free one. Default `off`. */
  readonly metricsPort?: number | "off";
}

/** How a server ended. */
export interface Closed {
  /** Requests whose connections were cut. */
  readonly cutOff: number;
}

/** A server that listens. */
export interface RunningServer {
  /** `http://127.0.0.1:8000`. */
  readonly url: string;
  readonly port: number;
  /** Where gRPC listens, if it does. */
  readonly grpcPort: number | undefined;
  readonly metricsPort: number | undefined;
  /**
   * Answers "not ready" and refuses new requests, waits for those in flight (at most the `drain` setting, then their
   * connections are cut) and resolves. The engine stays open.
   */
  close(): Promise<Closed>;
  readonly [Symbol.asyncDispose]: () => Promise<void>;
}

/** Reads the modules that `serve` with these ports reads when it is called; for a program that has to wait for its engine. */
export async function preloadServer({
  grpcPort = "off",
  metricsPort = "off",
}: Pick<ServeOptions, "grpcPort" | "metricsPort">): Promise<void> {
  await Promise.all([
    grpcPort === "off" ? undefined : import("../grpc/server.js"),
    metricsPort === "off" ? undefined : import("../metrics/server.js"),
  ]);
}

/**
 * Serves the models of `engine` over HTTP. Throws ADDRESS_IN_USE when the port is taken, CONFIG_INVALID when the
 * address cannot be listened on.
 */
export async function serve(engine: Engine, options: ServeOptions = {}): Promise<RunningServer> {
  const host = options.host ?? KNOBS.host.default;
  const settings = resolveSettings(options, isLoopback(host));
  const oip = makeOip(engine, settings);
  const keys = KeyRing.open(settings);
  const handler = makeHandler(oip, settings, keys);
  const limit = (
    name: keyof ServerKnobs & ("headerBytes" | "connections" | "keepAlive" | "drain" | "grpcStreams"),
  ): number => options[name] ?? KNOBS[name].default;
  const headersTimeout = options.headersTimeout ?? KNOBS.headersTimeout.default;
  const requestTimeout = options.requestTimeout ?? KNOBS.requestTimeout.default;
  // The two time limits and the interval belong together, and only here: assigned later, slow bodies are never closed.
  const httpOptions = {
    headersTimeout: Math.min(headersTimeout, requestTimeout),
    requestTimeout,
    connectionsCheckingInterval: CHECK_INTERVAL,
    keepAliveTimeout: limit("keepAlive"),
    // The parser refuses from this many bytes of URL, names and values on.
    maxHeaderSize: limit("headerBytes") + 1,
    noDelay: true,
    // Refused by the handler, in the form of all refusals.
    requireHostHeader: false,
  };
  const certificate = Certificate.open(options, settings.log);
  const server =
    certificate === undefined
      ? createServer(httpOptions, handler)
      : createTlsServer({ ...httpOptions, ...certificate.options(headersTimeout) }, handler);
  if (certificate !== undefined && server instanceof TlsServer) certificate.renew(server);
  const silent = new SilentConnections(server);
  server.maxConnections = limit("connections");
  // One more than allowed, so that a request with too many is refused instead of cut.
  server.maxHeadersCount = settings.headerCount + 1;
  server.on("checkContinue", (req, res) => {
    expectBody(req, res);
    handler(req, res);
  });
  server.on("checkExpectation", (req, res) => checkExpectation(req, res, handler));
  server.on("clientError", refuseBroken);
  let grpc: GrpcServer | undefined;
  let metrics: Server | undefined;
  try {
    await listen(server, host, options.port ?? KNOBS.httpPort.default);
    const { grpcPort = "off" } = options;
    if (grpcPort !== "off") {
      const { serveGrpc } = await import("../grpc/server.js");
      grpc = await serveGrpc({
        host,
        port: grpcPort,
        settings,
        oip,
        keys,
        tls: certificate?.options(headersTimeout),
        connections: limit("connections"),
        streams: limit("grpcStreams"),
        headerBytes: limit("headerBytes"),
        headersTimeout,
        requestTimeout,
        keepAlive: limit("keepAlive"),
      }).catch((error: NodeJS.ErrnoException) => {
        throw listenError(error, host, grpcPort, "--grpc-port");
      });
      if (certificate !== undefined && grpc.server instanceof TlsServer) certificate.renew(grpc.server);
    }
    const { metricsPort = "off" } = options;
    if (metricsPort !== "off") {
      const { serveMetrics } = await import("../metrics/server.js");
      const isHost = (name: string | undefined): boolean =>
        settings.hosts === undefined || isAllowedHost(name, settings.hosts);
      metrics = await serveMetrics(() => oip.repository.models(), { host, port: metricsPort, isHost }).catch(
        (error: NodeJS.ErrnoException) => {
          throw listenError(error, host, metricsPort, "--metrics-port");
        },
      );
    }
  } catch (error) {
    certificate?.close();
    if (server.listening) server.close();
    await grpc?.close();
    await handler.close();
    throw error;
  }
  const { port } = server.address() as AddressInfo; // listening on a TCP port
  const url = `${certificate === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  emit("server:listening", { url });
  let closing: Promise<Closed> | undefined;
  const metricsAddress = metrics?.address() as AddressInfo | undefined; // listening on a TCP port
  const closeMetrics = (): void => {
    metrics?.close();
    metrics?.closeAllConnections();
  };
  const close = (): Promise<Closed> =>
    (closing ??= drain(server, silent, handler, grpc, limit("drain")).finally(() => {
      closeMetrics();
      certificate?.close();
    }));
  const dispose = async (): Promise<void> => void (await close());
  return {
    url,
    port,
    grpcPort: grpc?.port,
    metricsPort: metricsAddress?.port,
    close,
    [Symbol.asyncDispose]: dispose,
  };
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.[0-9.]+$/.test(host);
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(listenError(error, host, port)));
    server.listen({ host, port, backlog: 1024 }, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}

function listenError(
  error: NodeJS.ErrnoException,
  host: string,
  port: number,
  flag = "--http-port",
): TenonError {
  if (error.code === "EADDRINUSE") {
    return new TenonError("ADDRESS_IN_USE", {
      given: `${host}:${port}`,
      do: `choose another port with ${flag}, or any free one with ${flag} 0`,
      cause: error,
    });
  }
  if (error.code === "EACCES") {
    return new TenonError("CONFIG_INVALID", {
      problem: "this port needs rights that the process does not have",
      given: `${host}:${port}`,
      do: `choose a port above 1023 with ${flag}`,
      cause: error,
    });
  }
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND" || error.code === "EAI_AGAIN") {
    return new TenonError("CONFIG_INVALID", {
      problem: "no address of this machine",
      given: host,
      do: "name an address of this machine with --host",
      cause: error,
    });
  }
  return toTenonError(error);
}

/** An empty `Expect:` header, which some clients send, means nothing; other expectations cannot be met. */
function checkExpectation(req: IncomingMessage, res: ServerResponse, handler: Handler): void {
  if (req.headers.expect === "") {
    handler(req, res);
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

/** How long a connection may say nothing once the server has stopped listening. */
const SILENT_MS = 200;

/** Keeps listening while requests are under way, so that new ones get an answer too: that the server drains. */
async function drain(
  server: Server,
  silent: SilentConnections,
  handler: Handler,
  grpc: GrpcServer | undefined,
  patience: number,
): Promise<Closed> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patience);
  });
  const answered = Promise.all([handler.drain(), grpc?.drain()]);
  await Promise.race([answered, over]);
  const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
  server.closeIdleConnections();
  // What was sent before the server stopped listening may still be on its way.
  const hush = setTimeout(() => silent.close(), SILENT_MS);
  let cutOff = grpc?.open ?? 0;
  const grpcClosed = grpc?.close();
  // Connections that are half way through their headers have the rest of the time.
  const cut = over.then(() => {
    cutOff += handler.open;
    server.closeAllConnections();
  });
  await Promise.race([closed, cut]);
  await Promise.all([closed, grpcClosed]);
  clearTimeout(timer);
  clearTimeout(hush);
  await handler.close();
  return { cutOff };
}
