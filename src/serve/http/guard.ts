/** Who may ask: Host and Origin of a request, checked before anything else, against DNS rebinding and foreign pages. */
import type { IncomingMessage } from "node:http";
import { TenonError } from "../../base/index.js";
import type { HandlerSettings } from "./settings.js";

type OriginSettings = Pick<HandlerSettings, "headerCount" | "hosts" | "corsOrigin">;

/** Throws REQUEST_INVALID without a Host, REQUEST_FORBIDDEN for a Host or an Origin that is not allowed, REQUEST_TOO_LARGE for too many headers. */
export function checkOrigin(req: IncomingMessage, settings: OriginSettings): void {
  if (req.rawHeaders.length > 2 * settings.headerCount) {
    throw new TenonError("REQUEST_TOO_LARGE", {
      problem: `a request has at most ${settings.headerCount} headers`,
      details: { headers: true },
    });
  }
  const { host, origin } = req.headers;
  if (host === undefined && req.httpVersion === "1.1") {
    throw new TenonError("REQUEST_INVALID", { problem: "the Host header is missing" });
  }
  if (settings.hosts !== undefined && !isAllowedHost(host, settings.hosts)) {
    throw new TenonError("REQUEST_FORBIDDEN", {
      problem: "the Host header names no host that this server answers for",
      do: "add it with --allowed-hosts",
    });
  }
  // Pages load images and scripts across origins without naming their own.
  const foreign = origin === undefined && req.headers["sec-fetch-site"] === "cross-site";
  if (foreign || (origin !== undefined && !isAllowedOrigin(origin, settings))) {
    throw new TenonError("REQUEST_FORBIDDEN", {
      problem: "web pages of this origin may not call this server",
      do: "add it with --cors-origin",
    });
  }
}

/** True when a Host header names one of `hosts`, whatever its port. */
export function isAllowedHost(host: string | undefined, hosts: ReadonlySet<string>): boolean {
  if (host === undefined) return false;
  if (hosts.has(host)) return true;
  const withoutPort = host.replace(/:[0-9]+$/, "").toLowerCase();
  return hosts.has(withoutPort);
}

/** True for an origin of the setting `corsOrigin`. */
export function isAllowedOrigin(origin: string, settings: Pick<OriginSettings, "corsOrigin">): boolean {
  return settings.corsOrigin.includes(origin);
}
