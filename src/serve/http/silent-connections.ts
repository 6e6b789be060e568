/** SilentConnections: connections on which nothing was said yet; they need not keep a server from its end. */
import type { Server } from "node:http";
import type { Socket } from "node:net";
import { Server as TlsServer } from "node:tls";

/** How long a connection may say nothing once no more are taken. */
export const SILENT_MS = 200;

export class SilentConnections {
  readonly #sockets = new Set<Socket>();

  /** From now on follows what connects. Clients open connections ahead of their need, and Node.js counts those as busy. */
  constructor(server: Server) {
    server.on(server instanceof TlsServer ? "secureConnection" : "connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  close(): void {
    for (const socket of this.#sockets) if (socket.bytesRead === 0) socket.destroy();
  }
}
