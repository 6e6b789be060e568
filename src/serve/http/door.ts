/** Door: how clients come to a server over HTTP, and how their connections end; and the door that is this very process. */
import type { Server as NetServer } from "node:net";
import type { OipServer } from "../oip/server.js";
import { type Certificate, usePair } from "./certificate.js";
import type { ServerHandler } from "./handler.js";
import { createHttpServer, type HttpLimits } from "./http-server.js";
import { SILENT_MS } from "./silent-connections.js";

export interface Door {
  /** What listens. */
  readonly server: NetServer;
  /** Resolves when it takes connections. */
  readonly ready: Promise<void>;
  /** Resolves when every client has taken what it was answered. */
  quiet(): Promise<void>;
  /** Takes no more connections, lets those end on which nothing is under way; resolves when there are none. */
  end(): Promise<void>;
  /** Cuts all connections; how many requests were under way on them. */
  cut(): Promise<number>;
  /** Frees what is left when it has ended, or never listened. */
  close(): Promise<void>;
}

export interface DoorOptions {
  readonly limits: HttpLimits;
  readonly connections: number;
  readonly certificate: Certificate | undefined;
  readonly oip: OipServer;
  readonly handler: ServerHandler;
  /** Whether requests must show a key. */
  readonly keyed: boolean;
}

/** With TLS, or where connections are not kept, node:http reads everything. */
export function ownDoor({ limits, connections, certificate, handler }: DoorOptions): Door {
  const tls = certificate?.options(limits.headersTimeout);
  const { server, silent } = createHttpServer(limits, tls, handler);
  certificate?.renew((pair) => usePair(server, pair));
  server.maxConnections = connections;
  let hush: NodeJS.Timeout | undefined;
  return {
    server,
    ready: Promise.resolve(),
    // Requests are open until their clients have taken their answers.
    quiet: () => Promise.resolve(),
    async end() {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      server.closeIdleConnections();
      // What was sent before the server stopped listening may still be on its way.
      hush = setTimeout(() => silent.close(), SILENT_MS);
      await closed;
    },
    async cut() {
      const { open } = handler;
      server.closeAllConnections();
      return open;
    },
    async close() {
      clearTimeout(hush);
      if (server.listening) server.close();
    },
  };
}
