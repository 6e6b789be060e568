/** The server's own door for requests that fronts hand on as they came. */
import { timingSafeEqual } from "node:crypto";
import { createServer, type IncomingMessage, type Server } from "node:http";
import { expectBody } from "../http/body.js";
import { handOn } from "../http/handed-on.js";
import type { ServerHandler } from "../http/handler.js";
import type { HttpLimits } from "../http/http-server.js";
import { INNER_HEADER } from "./inner-header.js";

/** Headers that a front may add, and what they take. */
const ADDED_HEADERS = 3;
const ADDED_BYTES = 1024;

/** Takes nothing without `secret`. Time limits are the fronts': they know how fast clients are. */
export function createInnerServer(
  handler: ServerHandler,
  { headerBytes, headerCount }: HttpLimits,
  secret: string,
): Server {
  const server = createServer({
    headersTimeout: 0,
    requestTimeout: 0,
    keepAliveTimeout: 0,
    maxHeaderSize: headerBytes + 1 + ADDED_BYTES,
    requireHostHeader: false,
  });
  server.maxHeadersCount = headerCount + 1 + ADDED_HEADERS;
  const expected = Buffer.from(secret);
  server.on("request", (req, res) => {
    if (restore(req, expected)) handler(req, res);
    else req.socket.destroy();
  });
  server.on("checkContinue", (req, res) => {
    if (!restore(req, expected)) {
      req.socket.destroy();
      return;
    }
    expectBody(req, res);
    handler(req, res);
  });
  server.on("checkExpectation", (req, res) => {
    if (restore(req, expected)) handler(req, res);
    else req.socket.destroy();
  });
  return server;
}

const MARK = /^(\S+) (\d{1,5}) (\d)\.(\d) ([01]) (\S*)$/;

/** Makes the request what it was when it came to the front; false when no front sent it. */
function restore(req: IncomingMessage, secret: Buffer): boolean {
  const { headers, rawHeaders } = req;
  const mark = rawHeaders.at(-2) === INNER_HEADER ? MARK.exec(rawHeaders.at(-1)!) : null;
  if (mark === null) return false;
  const [, shown = "", count, major, minor, late, address] = mark;
  const given = Buffer.from(shown);
  if (given.length !== secret.length || !timingSafeEqual(given, secret)) return false;
  if (2 * Number(count) > rawHeaders.length) return false;
  rawHeaders.length = 2 * Number(count);
  delete headers[INNER_HEADER];
  req.httpVersionMajor = Number(major);
  req.httpVersionMinor = Number(minor);
  req.httpVersion = `${major}.${minor}`;
  handOn(req, { address: address === "" ? undefined : address, late: late === "1" });
  return true;
}
