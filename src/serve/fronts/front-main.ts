/** The process of a front: takes its settings, then connections, until the server tells it to end or is gone. */
import type { Socket } from "node:net";
import { toTenonError } from "../../base/index.js";
import { paceCollector } from "../http/heap.js";
import { FrontServer } from "./front-server.js";
import type { FromFront, ToFront } from "./messages.js";

const USAGE_INTERVAL = 1000;

function tell(message: FromFront, told?: () => void): void {
  if (process.connected) process.send!(message, undefined, {}, told);
}

// The server hears the signals of the terminal, too, and says when to end.
process.on("SIGINT", () => undefined).on("SIGTERM", () => undefined);
process.on("disconnect", () => process.exit());
paceCollector();

let server: FrontServer | undefined;
let told = 0;

function tellUsage(): void {
  const { user, system } = process.cpuUsage();
  const cpuSeconds = (user + system) / 1e6;
  if (cpuSeconds - told < 0.001) return;
  told = cpuSeconds;
  tell({ kind: "usage", cpuSeconds, residentBytes: process.memoryUsage.rss() });
}

process.on("message", (message: ToFront, socket?: Socket) => {
  switch (message.kind) {
    case "settings":
      try {
        server = new FrontServer(message.settings, message.pair ?? undefined, () => process.exit());
        tellUsage();
        tell({ kind: "ready" });
      } catch (error) {
        tell({ kind: "failed", problem: toTenonError(error).message });
      }
      break;
    case "pair":
      server?.renew(message.pair);
      break;
    case "connection":
      // The client may have gone while its connection was on the way.
      if (socket !== undefined) server?.take(socket);
      break;
    case "quiet":
      void server?.quiet().then(() => tell({ kind: "quiet" }));
      break;
    case "close":
      void server?.close().then(() => process.exit());
      break;
    case "cut":
      tell({ kind: "cut", count: server?.open ?? 0 }, () => process.exit());
      break;
  }
});

setInterval(tellUsage, USAGE_INTERVAL).unref();
