/** FramedExchange: a request that came through a front as a frame, and its answer. */
import type { IncomingHttpHeaders } from "node:http";
import { type ErrorCode, type TenonError, toTenonError } from "../../base/index.js";
import { errorAnswer, leavesUnread } from "../http/error-answer.js";
import {
  answerHeaders,
  type BodyPart,
  type Exchanges,
  type HeaderList,
  lengthOf,
  OpenExchange,
} from "../http/open-exchange.js";
import { composeAnswer } from "../oip/answer.js";
import { compressed } from "../oip/compression.js";
import type { ModelWire } from "../oip/model-wire.js";
import type { Ran } from "../oip/run.js";
import type { ServedModel } from "../served-model.js";
import { sendAnswer, sendOutputs } from "./answer-frame.js";
import type { FrameWriter } from "./frames.js";
import type { FramedRequest } from "./infer-frame.js";

/** The line by which requests came, and answers go. */
export interface Line {
  readonly exchanges: Exchanges;
  readonly writer: FrameWriter;
  /** The number under which the front knows what the model's answers begin with. */
  faceOf(
    model: ServedModel,
    wire: ModelWire,
  ): { readonly face: number; readonly places: ReadonlyMap<string, number> };
}

export class FramedExchange extends OpenExchange {
  readonly #link: Line;
  readonly #number: number;
  readonly #request: FramedRequest;
  #answered = false;

  constructor(link: Line, number: number, request: FramedRequest) {
    super(link.exchanges, request.id, request.path);
    this.#link = link;
    this.#number = number;
    this.#request = request;
    this.bodyId = request.bodyId;
    this.bytesIn = request.bytesIn;
  }

  get method(): string {
    return "POST";
  }

  get headers(): IncomingHttpHeaders {
    return this.#request.headers;
  }

  get address(): string {
    return this.#request.address;
  }

  /** The front sees to clients that do not take their answers. */
  giveUp(): void {}

  /** The front has no more to do with it: the client took its answer of `bytes`, or is gone. */
  end(taken: boolean, bytes: number): void {
    this.bytesOut = bytes;
    this.close(taken);
  }

  answer(status: number, headers: HeaderList, parts: readonly BodyPart[], error?: ErrorCode): void {
    if (!this.#begin(status, error)) return;
    const all = answerHeaders(status, headers, lengthOf(parts), this.marks);
    const last = this.exchanges.draining || leavesUnread(error);
    sendAnswer(this.#link.writer, this.#number, { status, headers: all, parts, last }, () => this.release());
  }

  fail(error: TenonError): void {
    const { status, headers, body } = errorAnswer(this, error);
    this.answer(status, headers, [body], error.code);
  }

  /** Answers with what a run made, and disposes of it. */
  async answerRun(ran: Ran): Promise<void> {
    const { model, wire, wanted, outputs } = ran;
    if (this.closed || this.#answered) {
      outputs[Symbol.dispose]();
      return;
    }
    this.hold(outputs);
    const answered = wanted.map((output) => ({ ...output, tensor: outputs[output.wire.name]! }));
    // Texts that are no UTF-8 are an error, whose words are written here.
    const plain = wanted.every(
      ({ classified, binary, wire: { dtype } }) => !classified && (binary || dtype !== "string"),
    );
    if (plain) {
      const face = this.#link.faceOf(model, wire);
      const last = this.exchanges.draining;
      const traced = this.traced?.response;
      const framed = { ...face, outputs: answered, traced, last };
      if (sendOutputs(this.#link.writer, this.#number, framed, () => this.release())) {
        this.#begin(200, undefined);
        return;
      }
    }
    try {
      const { settings } = this.exchanges;
      const answer = await composeAnswer(wire, this.bodyId, answered, settings.json);
      const sent = settings.responseCompression
        ? await compressed(answer, this.headers["accept-encoding"])
        : answer;
      this.answer(200, sent.headers, sent.parts);
    } catch (error) {
      this.release();
      this.fail(toTenonError(error));
    }
  }

  /** False when it has an answer, or nobody waits for one. */
  #begin(status: number, error: ErrorCode | undefined): boolean {
    if (this.closed || this.#answered) return false;
    this.#answered = true;
    this.answeredWith(status, error);
    this.answeredAt = performance.now();
    return true;
  }
}
