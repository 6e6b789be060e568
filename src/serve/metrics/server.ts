/** A server of the metrics page alone, for scrapers that hold no key. */
import { createServer, type Server } from "node:http";
import { METRICS_TYPE } from "./prometheus.js";

/** Listens; rejects with the error of the socket. `isHost`: whether a Host header names this server. */
export async function serveMetrics(
  page: () => string,
  {
    host,
    port,
    isHost,
  }: { readonly host: string; readonly port: number; readonly isHost: (host: string | undefined) => boolean },
): Promise<Server> {
  const server = createServer({ headersTimeout: 5000, requestTimeout: 5000 }, (req, res) => {
    req.resume();
    const path = (req.url ?? "").split("?")[0];
    const status = isHost(req.headers.host)
      ? path === "/metrics"
        ? req.method === "GET"
          ? 200
          : 405
        : 404
      : 403;
    const body = status === 200 ? page() : "";
    res.writeHead(status, { "Content-Type": METRICS_TYPE, "Content-Length": Buffer.byteLength(body) });
    res.end(body);
  });
  server.maxConnections = 64;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port }, () => {
      server.removeListener("error", reject);
      resolve();
    });
  });
  return server;
}
