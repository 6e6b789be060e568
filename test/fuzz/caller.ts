/** A client of gRPC that sends what it is told over HTTP/2, and sees whether a status comes that may come. */
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { assertDiscreet, RawConnection } from "../support/served.js";
import type { HostileCall } from "./call-kinds.js";

/** What came of a call, and what of that must not be. */
interface CallOutcome {
  readonly status: string;
  readonly defect?: string;
}

/** Statuses that a bad call may get: neither INTERNAL nor UNKNOWN is one. */
const ALLOWED: ReadonlySet<string> = new Set([
  "0",
  "1",
  "3",
  "4",
  "5",
  "8",
  "12",
  "14",
  "HTTP 415",
  "HTTP 405",
]);
/** How long a client that waits for nothing stays. */
const PATIENCE_MS = 20;

export class HostileCaller {
  readonly #port: number;
  #session: ClientHttp2Session | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  async call(hostile: HostileCall): Promise<CallOutcome> {
    if (hostile.client === "babbles") {
      using raw = await RawConnection.open(this.#port);
      raw.write(hostile.bytes);
      await sleep(PATIENCE_MS);
      return { status: "left" };
    }
    if (hostile.client === "vanishes") {
      const own = this.#connect();
      const ended = this.#send(own, hostile);
      await sleep(PATIENCE_MS);
      own.destroy();
      await ended;
      return { status: "left" };
    }
    if (this.#session === undefined || this.#session.closed || this.#session.destroyed)
      this.#session = this.#connect();
    const outcome = await this.#send(this.#session, hostile);
    return hostile.client === "resets" ? { status: "left" } : outcome;
  }

  close(): void {
    this.#session?.destroy();
  }

  #connect(): ClientHttp2Session {
    const session = connect(`http://127.0.0.1:${this.#port}`);
    // A connection that ends takes its calls with it, which say so.
    session.on("error", () => undefined);
    return session;
  }

  #send(session: ClientHttp2Session, { path, headers, bytes, client }: HostileCall): Promise<CallOutcome> {
    const sent: Record<string, string> = {};
    const all = { "content-type": "application/grpc", te: "trailers", ...headers };
    for (const [name, value] of Object.entries(all)) if (value !== undefined) sent[name] = value;
    return new Promise((resolve) => {
      const stream = session.request({ ":method": "POST", ":path": path, ...sent });
      let status: string | undefined;
      let text = "";
      const note = (received: IncomingHttpHeaders): void => {
        const { "grpc-status": grpc, "grpc-message": message, ":status": http } = received;
        if (grpc !== undefined) {
          status = String(grpc);
          text = decodeURIComponent(String(message ?? ""));
        } else if (http !== undefined && Number(http) !== 200) status = `HTTP ${http}`;
      };
      stream.on("response", note);
      stream.on("trailers", note);
      stream.on("data", () => undefined);
      stream.on("error", () => undefined);
      stream.on("close", () => resolve(judged(status, text)));
      if (client === "waits") stream.end(bytes);
      else stream.write(bytes);
      if (client === "resets") stream.close(constants.NGHTTP2_CANCEL);
    });
  }
}

function judged(status: string | undefined, text: string): CallOutcome {
  if (status === undefined) return { status: "none", defect: "the call ended without a status" };
  if (!ALLOWED.has(status)) return { status, defect: `status ${status}: ${text}` };
  try {
    if (status !== "0") assertDiscreet(400, text);
    return { status };
  } catch (error) {
    return { status, defect: String(error) };
  }
}
