/** Requests that a front hands on as they came, and the server's answers to them. */
import { Agent, type IncomingMessage, request } from "node:http";
import { hasBody } from "../http/body.js";
import { endWhenRead } from "../http/late-end.js";
import { INNER_HEADER } from "./inner-header.js";
import type { FrontSettings } from "./messages.js";
import type { Reply } from "./reply.js";

/** How long an unused connection to the server stays open. */
const IDLE_MS = 30_000;

/** Headers of one connection only; each side has its own. */
const OWN: ReadonlySet<string> = new Set(["connection", "keep-alive", "transfer-encoding", "date"]);

export class InnerDoor {
  readonly #path: string;
  readonly #secret: string;
  readonly #agent = new Agent({ keepAlive: true, timeout: IDLE_MS });

  constructor({ path, secret }: FrontSettings["inner"]) {
    this.#path = path;
    this.#secret = secret;
  }

  /** Hands a request on; `body` when that was read already. `seen` is told the status of the answer. */
  passOn(reply: Reply, body: Buffer | undefined, seen: (status: number) => void): void {
    const { req, res } = reply;
    const inner = request({
      agent: this.#agent,
      socketPath: this.#path,
      method: req.method,
      path: req.url,
      headers: this.#headers(reply),
    });
    reply.onClose = () => void inner.destroy();
    inner.on("continue", () => res.writeContinue());
    inner.on("error", () => void res.destroy());
    inner.on("response", (answer) => {
      seen(answer.statusCode!);
      give(reply, answer);
    });
    if (body !== undefined) inner.end(body);
    else if (hasBody(req)) {
      req.on("error", () => undefined); // its end is the reply's
      // The server may answer before the body comes.
      inner.flushHeaders();
      req.pipe(inner);
    } else inner.end();
  }

  #headers({ req, late }: Reply): string[] {
    const { rawHeaders, headers, httpVersion, socket } = req;
    const all = rawHeaders.slice();
    let kept = false;
    for (let i = 0; i < all.length; i += 2) {
      if (all[i]!.toLowerCase() !== "connection") continue;
      all[i + 1] = "keep-alive";
      kept = true;
    }
    if (!kept) all.push("Connection", "keep-alive");
    // Without a length Node.js would announce chunks.
    if (headers["content-length"] === undefined && headers["transfer-encoding"] === undefined)
      all.push("Content-Length", "0");
    const mark = [this.#secret, rawHeaders.length / 2, httpVersion, late ? 1 : 0, socket.remoteAddress ?? ""];
    all.push(INNER_HEADER, mark.join(" "));
    return all;
  }
}

function give(reply: Reply, answer: IncomingMessage): void {
  const { req, res } = reply;
  const { rawHeaders, statusCode, statusMessage } = answer;
  const headers: string[] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) {
    if (!OWN.has(rawHeaders[i]!.toLowerCase())) headers.push(rawHeaders[i]!, rawHeaders[i + 1]!);
  }
  const last = answer.headers.connection === "close";
  if (last) res.shouldKeepAlive = false;
  res.writeHead(statusCode!, statusMessage, headers);
  answer.on("data", (chunk: Buffer) => {
    if (res.write(chunk)) return;
    answer.pause();
    res.once("drain", () => answer.resume());
  });
  answer.on("end", () => {
    reply.answeredAt = performance.now();
    // The server did not want the rest of the request.
    if (last && hasBody(req) && !req.complete) {
      req.unpipe();
      endWhenRead(req, res);
    } else res.end();
  });
  answer.on("aborted", () => void res.destroy());
}
