/** A gRPC server on node:http2: sessions and streams within their limits, keys, deadlines and an orderly end. */
import {
  constants,
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import type { TlsOptions } from "node:tls";
import { TenonError, toTenonError } from "../../base/index.js";
import { BodyPool } from "../http/body-pool.js";
import { admitted } from "../http/gate.js";
import type { KeyRing } from "../http/key-ring.js";
import type { HandlerSettings } from "../http/settings.js";
import type { OipServer } from "../oip/server.js";
import { Roster } from "../roster.js";
import { Call, type Calls } from "./call.js";
import { contentOf, type Frame, FrameReader } from "./frames.js";
import { rawContentsAt } from "./infer.js";
import { grpcMethods, type Method } from "./methods.js";
import { grpcStreams } from "./streams.js";

/** How often calls and connections are looked at for their time limits, in milliseconds. */
const SWEEP_INTERVAL = 1000;

/** Bytes on the way that one connection, and one of its streams, may have unread. */
const CONNECTION_WINDOW = 8 * 2 ** 20;
const STREAM_WINDOW = 2 ** 20;
const FRAME_SIZE = 256 * 1024;

export interface GrpcOptions {
  readonly host: string;
  readonly port: number;
  readonly settings: HandlerSettings;
  readonly oip: OipServer;
  readonly keys: KeyRing | undefined;
  readonly tls: TlsOptions | undefined;
  readonly connections: number;
  readonly streams: number;
  readonly headerBytes: number;
  readonly headersTimeout: number;
  readonly requestTimeout: number;
  readonly keepAlive: number;
}

/** A gRPC server that listens. */
export interface GrpcServer {
  readonly port: number;
  readonly server: Http2Server;
  /** Calls without a status. */
  readonly open: number;
  /** Refuses new calls; resolves when those under way have their status. */
  drain(): Promise<void>;
  /** Ends what is still there. */
  close(): Promise<void>;
}

interface Connection {
  readonly session: ServerHttp2Session;
  readonly since: number;
  /** When its last call ended; 0 while it has had none. */
  idleSince: number;
  open: number;
}

/** Listens. Rejects with the error of the socket. */
export async function serveGrpc(options: GrpcOptions): Promise<GrpcServer> {
  const { settings, keys } = options;
  const { strikes } = options.oip;
  const calls: Calls = {
    settings,
    strikes,
    tracing: options.oip.tracing,
    bodies: new BodyPool(),
    open: new Roster(),
    watchers: new Set(),
    draining: false,
  };
  const methods = new Map(grpcMethods(options.oip).map((method) => [method.path, method]));
  const streams = new Map(grpcStreams(options.oip, [...methods.values()]).map((one) => [one.path, one]));
  const connections = new Map<ServerHttp2Session, Connection>();
  const http2 = {
    settings: {
      initialWindowSize: STREAM_WINDOW,
      maxFrameSize: FRAME_SIZE,
      maxConcurrentStreams: options.streams,
      maxHeaderListSize: options.headerBytes,
      enablePush: false,
    },
    maxSessionMemory: Math.max(32, Math.ceil((4 * settings.bodyMax) / 2 ** 20)),
    maxHeaderListPairs: settings.headerCount + 8,
  };
  const server: Http2Server =
    options.tls === undefined
      ? createServer(http2)
      : createSecureServer({ ...http2, ...options.tls, allowHTTP1: false });
  server.maxConnections = options.connections;
  server.on("session", (session) => {
    const connection: Connection = { session, since: performance.now(), idleSince: 0, open: 0 };
    connections.set(session, connection);
    session.setLocalWindowSize(CONNECTION_WINDOW);
    session.on("close", () => connections.delete(session));
    session.on("error", () => session.destroy());
  });
  server.on("sessionError", () => undefined);
  server.on("stream", (http2Stream, headers) => {
    const connection = connections.get(http2Stream.session as ServerHttp2Session); // streams of a server have one
    if (connection !== undefined) {
      connection.open++;
      http2Stream.once("close", () => {
        connection.open--;
        connection.idleSince = performance.now();
      });
    }
    accept(http2Stream, headers);
  });

  const accept = (http2Stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void => {
    if (
      !/^application\/grpc(\+proto)?($|;)/.test(headers["content-type"] ?? "") ||
      headers[":method"] !== "POST"
    ) {
      http2Stream.on("error", () => undefined);
      http2Stream.respond({ ":status": headers[":method"] === "POST" ? 415 : 405 }, { endStream: true });
      // Nobody reads what else it sends.
      http2Stream.close(constants.NGHTTP2_NO_ERROR);
      return;
    }
    const call = new Call(http2Stream, headers, calls, (late) => {
      late.abort();
      late.fail(new TenonError("DEADLINE"));
    });
    try {
      const method = streams.get(call.path) ?? methods.get(call.path);
      if (method === undefined) {
        throw new TenonError("REQUEST_METHOD", { details: { path: call.path } });
      }
      if (keys !== undefined && method.open !== true) {
        call.enter(admitted(keys, call.metadata("authorization"), settings.keyRequests));
      }
      if (calls.draining && method.whileDraining !== true) throw new TenonError("SERVER_DRAINING");
      if ("start" in method) method.start(call);
      else receiveOne(call, method);
    } catch (error) {
      call.fail(toTenonError(error));
    }
  };

  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host: options.host, port: options.port, backlog: 1024 }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });

  const sweeper = setInterval(() => {
    const now = performance.now();
    for (const call of calls.open) sweepCall(call, now, options);
    for (const look of calls.watchers) look();
    for (const connection of connections.values()) sweepConnection(connection, now, options);
  }, SWEEP_INTERVAL).unref();
  const close = async (): Promise<void> => {
    clearInterval(sweeper);
    const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
    for (const { session, open } of connections.values()) {
      if (open === 0) session.close();
      else session.destroy();
    }
    // A client may keep its side open for as long as it likes.
    const timer = setTimeout(() => {
      for (const { session } of connections.values()) session.destroy();
    }, 500);
    await closed;
    clearTimeout(timer);
  };
  return Object.defineProperty(
    {
      port: (server.address() as AddressInfo).port, // listening on a TCP port
      server,
      open: 0,
      drain: async () => {
        calls.draining = true;
        for (const look of calls.watchers) look();
        await Promise.all([...calls.open].map((call) => call.ended));
      },
      close,
    },
    "open",
    { get: () => calls.open.size },
  );
}

/** Reads the one message of a unary call, then runs it. */
function receiveOne(call: Call, method: Method): void {
  const { stream, calls } = call;
  const { bodies, settings } = calls;
  let frame: Frame | undefined;
  const reader = new FrameReader(
    {
      maxBytes: settings.bodyMax,
      pool: bodies,
      alignAt: method.path.endsWith("/ModelInfer") ? rawContentsAt : undefined,
    },
    (next) => {
      if (frame !== undefined)
        throw new TenonError("REQUEST_INVALID", { problem: "a unary call has one message" });
      frame = next;
    },
  );
  let over = false;
  const fail = (error: unknown): void => {
    over = true;
    call.fail(toTenonError(error));
  };
  stream.on("data", (chunk: Buffer) => {
    if (over) return;
    call.bytesIn += chunk.length;
    try {
      reader.add(chunk);
    } catch (error) {
      fail(error);
    }
  });
  stream.on("end", () => {
    if (over || call.closed) return;
    call.received = true;
    if (frame === undefined || reader.inside) {
      fail(new TenonError("REQUEST_INVALID", { problem: "the call ended before its message was complete" }));
      return;
    }
    runOne(call, method, frame).catch(fail);
  });
}

async function runOne(call: Call, method: Method, frame: Frame): Promise<void> {
  const { bodies, settings } = call.calls;
  const content = contentOf(frame, call.metadata("grpc-encoding"), settings.bodyMax);
  const bytes = content instanceof Promise ? await content : content;
  await method.run(call, bytes, () => bodies.give(frame.bytes));
}

function sweepCall(call: Call, now: number, { settings, requestTimeout }: GrpcOptions): void {
  if (call.answeredAt > 0) {
    if (now - call.answeredAt > settings.replyTimeout) call.stream.destroy();
  } else if (!call.received && !call.streaming && now - call.startedAt > requestTimeout) {
    call.fail(new TenonError("REQUEST_TIMEOUT", { problem: "the request came too slowly" }));
  } else if (
    call.received &&
    !call.streaming &&
    now - call.startedAt > requestTimeout + settings.runDeadline
  ) {
    call.abort();
    call.fail(new TenonError("DEADLINE"));
  }
}

/** Connections that never ask, or have nothing to ask any more, are closed. */
function sweepConnection(connection: Connection, now: number, options: GrpcOptions): void {
  const { session, since, idleSince, open } = connection;
  if (open > 0) return;
  if (idleSince === 0 && now - since > Math.max(options.headersTimeout, options.keepAlive)) session.close();
  else if (idleSince > 0 && now - idleSince > options.keepAlive) session.close();
}
