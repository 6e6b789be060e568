/** Exchange: one request over HTTP and its answer, from the first look at the headers to the line in the access log. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { ErrorCode, TenonError } from "../../base/index.js";
import { bodyLimit, hasBody, isExpecting } from "./body.js";
import { errorAnswer, leavesUnread } from "./error-answer.js";
import { addressOf } from "./handed-on.js";
import { endWhenRead } from "./late-end.js";
import {
  answerHeaders,
  type BodyPart,
  type Exchanges,
  type HeaderList,
  lengthOf,
  OpenExchange,
  requestId,
} from "./open-exchange.js";
import { endWithParts } from "./write-parts.js";

/** One request over HTTP and its answer. */
export class Exchange extends OpenExchange {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;

  constructor(req: IncomingMessage, res: ServerResponse, exchanges: Exchanges, path: string) {
    super(exchanges, requestId(req.headers["x-request-id"]), path);
    this.req = req;
    this.res = res;
    const gone = (): void => this.close(res.writableFinished);
    res.on("close", gone);
    // Behind another request of its connection an answer has no socket yet, and is not told when that closes.
    if (res.socket === null) {
      const { socket } = req;
      socket.setMaxListeners(0).once("close", gone);
      this.whenClosed(() => void socket.off("close", gone));
    }
  }

  get method(): string {
    return this.req.method ?? "";
  }

  get headers(): IncomingMessage["headers"] {
    return this.req.headers;
  }

  get address(): string | undefined {
    return addressOf(this.req);
  }

  giveUp(): void {
    this.res.destroy();
  }

  answer(status: number, headers: HeaderList, parts: readonly BodyPart[], error?: ErrorCode): void {
    if (this.closed || this.res.headersSent) return;
    const length = lengthOf(parts);
    this.#begin(status, headers, length, error);
    endWithParts(this.res, parts);
    this.answeredAt = performance.now();
    this.bytesOut = length;
  }

  fail(error: TenonError): void {
    const { status, headers, body } = errorAnswer(this, error);
    // A body within the limit is read to its end and dropped, so that the connection can go on.
    if (hasBody(this.req) && this.#leavesUnread(error.code)) this.#refuse(status, headers, body, error.code);
    else this.answer(status, headers, [body], error.code);
  }

  /** True when what is left of the request's body should not be read. */
  #leavesUnread(code: ErrorCode): boolean {
    if (leavesUnread(code) || isExpecting(this.req)) return true;
    const length = Number(this.req.headers["content-length"] ?? Number.NaN);
    return !(length <= bodyLimit(this.exchanges.settings, true));
  }

  /** Answers a request whose body has not been read and will not be: the connection closes afterwards. */
  #refuse(status: number, headers: HeaderList, body: string, error: ErrorCode): void {
    const { req, res } = this;
    if (this.closed || res.headersSent) return;
    if (req.complete) {
      this.answer(status, headers, [body], error);
      return;
    }
    res.shouldKeepAlive = false;
    this.#begin(status, headers, body.length, error);
    this.bytesOut = body.length;
    res.write(body, "latin1");
    endWhenRead(req, res);
    this.answeredAt = performance.now();
  }

  #begin(status: number, headers: HeaderList, length: number, error: ErrorCode | undefined): void {
    const { settings, draining } = this.exchanges;
    this.answeredWith(status, error);
    const all = answerHeaders(status, headers, length, this.marks);
    const { origin } = this.req.headers;
    if (origin !== undefined && settings.corsOrigin.includes(origin)) {
      all.push("Access-Control-Allow-Origin", origin, "Vary", "Origin");
      all.push(
        "Access-Control-Expose-Headers",
        "Inference-Header-Content-Length, x-request-id, x-tenon-error",
      );
    }
    if (draining) this.res.shouldKeepAlive = false;
    this.res.writeHead(status, all);
  }
}
