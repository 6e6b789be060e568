/** PlainExchange: an infer request of a plain connection, and its answer. */
import type { IncomingHttpHeaders } from "node:http";
import { type ErrorCode, TenonError, toTenonError } from "../../base/index.js";
import { inferWhole } from "../oip/infer.js";
import type { OipServer } from "../oip/server.js";
import { errorAnswer, leavesUnread } from "./error-answer.js";
import type { ServerHandler } from "./handler.js";
import {
  answerHeaders,
  type BodyPart,
  type Exchanges,
  type HeaderList,
  lengthOf,
  OpenExchange,
  requestId,
} from "./open-exchange.js";
import type { PlainRequest } from "./plain-connection.js";

class PlainExchange extends OpenExchange {
  readonly #request: PlainRequest;

  constructor(request: PlainRequest, exchanges: Exchanges) {
    super(exchanges, requestId(request.headers["x-request-id"]), request.path);
    this.#request = request;
    request.onClose = (taken) => this.close(taken);
  }

  get method(): string {
    return "POST";
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers;
  }

  get address(): string | undefined {
    return this.#request.address;
  }

  giveUp(): void {
    this.#request.giveUp();
  }

  answer(status: number, headers: HeaderList, parts: readonly BodyPart[], error?: ErrorCode): void {
    if (this.closed || this.#request.answered) return;
    this.answeredWith(status, error);
    const length = lengthOf(parts);
    this.bytesOut = length;
    this.answeredAt = performance.now();
    const last = this.exchanges.draining || leavesUnread(error);
    this.#request.answer(status, answerHeaders(status, headers, length, this.marks), parts, last);
  }

  fail(error: TenonError): void {
    const { status, headers, body } = errorAnswer(this, error);
    this.answer(status, headers, [body], error.code);
  }
}

/** Answers a request as the infer route does. */
export function answerPlain(request: PlainRequest, handler: ServerHandler, oip: OipServer): void {
  const exchange = new PlainExchange(request, handler.exchanges);
  infer(exchange, request.body, handler, oip).catch((error: unknown) => exchange.fail(toTenonError(error)));
}

async function infer(
  exchange: PlainExchange,
  body: Buffer,
  handler: ServerHandler,
  oip: OipServer,
): Promise<void> {
  const { model, version } = handler.enter(exchange).params;
  if (exchange.exchanges.draining) throw new TenonError("SERVER_DRAINING");
  await inferWhole(exchange, oip.repository.finder(model, version), body, oip);
}
