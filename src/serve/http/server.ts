/** serve: a listening HTTP server around a handler, with its limits set and an orderly end. */
import type { Server } from "node:http";
import type { AddressInfo, Server as NetServer } from "node:net";
import { emit, KNOBS, type Knobs, TenonError, toTenonError } from "../../base/index.js";
import type { Engine } from "../../runtime/index.js";
import type { GrpcServer } from "../grpc/server.js";
import { Certificate, usePair } from "./certificate.js";
import { type Door, ownDoor } from "./door.js";
import { isAllowedHost } from "./guard.js";
import { type Handler, makeHandler, makeOip } from "./handler.js";
import { KeyRing } from "./key-ring.js";
import { plainDoor } from "./plain-door.js";
import { type HandlerOptions, resolveSettings } from "./settings.js";

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
  | "fronts"
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
    name: keyof ServerKnobs &
      ("headerBytes" | "connections" | "keepAlive" | "drain" | "grpcStreams" | "fronts"),
  ): number => options[name] ?? KNOBS[name].default;
  const headersTimeout = options.headersTimeout ?? KNOBS.headersTimeout.default;
  const requestTimeout = options.requestTimeout ?? KNOBS.requestTimeout.default;
  const certificate = Certificate.open(options, settings.log);
  const limits = {
    headerBytes: limit("headerBytes"),
    headerCount: settings.headerCount,
    headersTimeout,
    requestTimeout,
    keepAlive: limit("keepAlive"),
  };
  const openDoor = async (): Promise<Door> => {
    const connections = limit("connections");
    const inside = { limits, connections, certificate, oip, handler, keyed: keys !== undefined };
    if (limit("fronts") === 0)
      return certificate === undefined && limits.keepAlive > 0 ? plainDoor(inside) : ownDoor(inside);
    const { Fronts } = await import("../fronts/fronts.js");
    const fronts = new Fronts({ ...inside, count: limit("fronts") });
    oip.processes.fronts = () => fronts.usage;
    return fronts;
  };
  let door: Door | undefined;
  let grpc: GrpcServer | undefined;
  let metrics: Server | undefined;
  try {
    door = await openDoor();
    await listen(door.server, host, options.port ?? KNOBS.httpPort.default);
    await door.ready;
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
        ...limits,
      }).catch((error: NodeJS.ErrnoException) => {
        throw listenError(error, host, grpcPort, "--grpc-port");
      });
      const { server } = grpc;
      certificate?.renew((pair) => usePair(server, pair));
    }
    const { metricsPort = "off" } = options;
    if (metricsPort !== "off") {
      const [{ serveMetrics }, { metricsPage }] = await Promise.all([
        import("../metrics/server.js"),
        import("../metrics/prometheus.js"),
      ]);
      const page = (): string => metricsPage(oip.repository.models(), oip.processes);
      const isHost = (name: string | undefined): boolean =>
        settings.hosts === undefined || isAllowedHost(name, settings.hosts);
      metrics = await serveMetrics(page, { host, port: metricsPort, isHost }).catch(
        (error: NodeJS.ErrnoException) => {
          throw listenError(error, host, metricsPort, "--metrics-port");
        },
      );
    }
  } catch (error) {
    certificate?.close();
    await door?.close();
    await grpc?.close();
    await handler.close();
    throw error;
  }
  const { port } = door.server.address() as AddressInfo; // listening on a TCP port
  const url = `${certificate === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
  emit("server:listening", { url });
  let closing: Promise<Closed> | undefined;
  const metricsAddress = metrics?.address() as AddressInfo | undefined; // listening on a TCP port
  const closeMetrics = (): void => {
    metrics?.close();
    metrics?.closeAllConnections();
  };
  const close = (): Promise<Closed> =>
    (closing ??= drain(door, handler, grpc, limit("drain")).finally(() => {
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

function listen(server: NetServer, host: string, port: number): Promise<void> {
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

/** Keeps listening while requests are under way, so that new ones get an answer too: that the server drains. */
async function drain(
  door: Door,
  handler: Handler,
  grpc: GrpcServer | undefined,
  patience: number,
): Promise<Closed> {
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patience);
  });
  const answered = Promise.all([handler.drain(), door.quiet(), grpc?.drain()]);
  await Promise.race([answered, over]);
  const closed = door.end();
  let cutOff = grpc?.open ?? 0;
  const grpcClosed = grpc?.close();
  // Connections that are half way through their headers have the rest of the time.
  const cut = over.then(async () => {
    cutOff += await door.cut();
  });
  await Promise.race([closed, cut]);
  await Promise.all([closed, grpcClosed]);
  clearTimeout(timer);
  await door.close();
  await handler.close();
  return { cutOff };
}
