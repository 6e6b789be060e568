/** The door that is this very process, without TLS: plain requests are read here, all others by node:http. */
import { createServer, type Server, type Socket } from "node:net";
import { bodyLimit } from "./body.js";
import type { Door, DoorOptions } from "./door.js";
import { isAllowedHost } from "./guard.js";
import { createHttpServer, refuseLate } from "./http-server.js";
import { PlainConnections, type PlainDoor } from "./plain-connection.js";
import { answerPlain } from "./plain-exchange.js";
import type { PlainHead } from "./plain-head.js";
import type { HandlerSettings } from "./settings.js";
import { SILENT_MS } from "./silent-connections.js";

type Welcome = Pick<HandlerSettings, "hosts" | "bodyMax" | "jsonBodyMax">;

/** False for a request that is refused by its head. */
function isWelcome({ headers, length }: PlainHead, { hosts, ...limits }: Welcome): boolean {
  const binary = headers["inference-header-content-length"] !== undefined;
  return length <= bodyLimit(limits, binary) && (hosts === undefined || isAllowedHost(headers.host, hosts));
}

/** From now on node:http reads the connection, `bytes` first. */
function handOver(http: Server, socket: Socket, bytes: Buffer): void {
  http.emit("connection", socket);
  socket.unshift(bytes);
  socket.resume();
}

export function plainDoor({ limits, connections, oip, handler }: DoorOptions): Door {
  const { server: http, silent } = createHttpServer(limits, undefined, handler);
  // It gets its connections from here: this starts what looks at their time limits.
  http.emit("listening");
  const door: PlainDoor = {
    ...limits,
    isWelcome: (head) => isWelcome(head, handler.exchanges.settings),
    take: (request) => answerPlain(request, handler, oip),
    handOver: (socket, bytes) => handOver(http, socket, bytes),
  };
  const plain = new PlainConnections(door, limits.headersTimeout, refuseLate);
  const server = createServer({ noDelay: true }, (socket) => plain.take(socket));
  server.maxConnections = connections;
  let hush: NodeJS.Timeout | undefined;
  return {
    server,
    ready: Promise.resolve(),
    // Requests are open until their clients have taken their answers.
    quiet: () => Promise.resolve(),
    async end() {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      http.closeIdleConnections();
      plain.closeIdle();
      // What was sent before the server stopped listening may still be on its way.
      hush = setTimeout(() => {
        silent.close();
        plain.closeSilent();
      }, SILENT_MS);
      await closed;
    },
    async cut() {
      const { open } = handler;
      http.closeAllConnections();
      plain.closeAll();
      return open;
    },
    async close() {
      clearTimeout(hush);
      if (server.listening) server.close();
      plain.close();
      // It never listened itself: this stops what looks at its connections.
      http.close(() => undefined);
    },
  };
}
