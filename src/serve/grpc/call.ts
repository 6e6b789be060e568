/** Call: one gRPC call on its HTTP/2 stream, from its metadata to the status in its trailers. */
import { setMaxListeners } from "node:events";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { constants } from "node:http2";
import { type ErrorCode, emit, heard, type TenonError } from "../../base/index.js";
import type { BodyPool } from "../http/body-pool.js";
import type { Caller } from "../http/key-ring.js";
import type { HandlerSettings } from "../http/settings.js";
import { STATUS } from "../http/status.js";
import { networkOf, type Sender, type Strikes } from "../http/strikes.js";
import { type Traced, type Tracing, traceIdOf } from "../observe/tracing.js";
import { type ErrorContext, errorText } from "../oip/errors.js";
import type { Asking } from "../oip/run.js";
import type { Roster, Rostered } from "../roster.js";
import { compressedFrame, prefixOf } from "./frames.js";
import { GRPC, grpcStatus, percentEncoded, timeoutOf } from "./status.js";

/** What the calls of one server share. */
export interface Calls {
  readonly settings: HandlerSettings;
  readonly strikes: Strikes;
  readonly tracing: Tracing;
  readonly bodies: BodyPool;
  readonly open: Roster<Call>;
  /** Calls that tell when the server's health changes: each looks when it is called. */
  readonly watchers: Set<() => void>;
  draining: boolean;
}

/** Messages below this size leave in one piece. */
const JOINED_BELOW = 16 * 1024;
/** Messages below this size are not compressed. */
const WORTH_COMPRESSING = 1024;

const { HTTP2_HEADER_STATUS, HTTP2_HEADER_CONTENT_TYPE, NGHTTP2_NO_ERROR } = constants;

let lastId = 0;

/** What a request asks, as far as it is known: for the words of its errors. */
export interface Subject {
  model: { readonly name: string; readonly maxBatch: number } | undefined;
  requestId: string | undefined;
}

export class Call implements Asking, Subject, Rostered {
  seat = -1;
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly calls: Calls;
  readonly path: string;
  readonly id: string;
  /** When the call must be over, on the clock of `performance.now()`. */
  readonly deadlineAt: number;
  readonly startedAt = performance.now();
  /** False until the request has come in whole; a stream of requests is never waited for. */
  received = false;
  bytesIn = 0;
  #bytesOut = 0;
  /** When the last byte of the answer was handed over; 0 before. */
  answeredAt = 0;
  model: Subject["model"];
  requestId: string | undefined;
  /** Messages go both ways until the client has no more. */
  streaming = false;
  /** How its last run is traced, where it is. */
  traced: Traced | undefined;
  #caller: Caller | undefined;
  #abort: AbortController | undefined;
  #closed = false;
  #code: ErrorCode | undefined;
  #trailers: Record<string, string> | undefined;
  #finished = false;
  readonly #held = new Set<Disposable>();
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    calls: Calls,
    onDeadline: (call: Call) => void,
  ) {
    this.stream = stream;
    this.headers = headers;
    this.calls = calls;
    this.path = headers[":path"] ?? "";
    const given = headers["x-request-id"];
    this.id =
      typeof given === "string" && /^[\x21-\x7e]{1,128}$/.test(given)
        ? given
        : `grpc-${(++lastId).toString(36)}`;
    const timeout = timeoutOf(headers["grpc-timeout"]);
    this.deadlineAt = timeout === undefined ? Number.POSITIVE_INFINITY : this.startedAt + timeout;
    if (timeout !== undefined)
      this.#timer = setTimeout(() => onDeadline(this), Math.min(timeout, 2 ** 31 - 1)).unref();
    calls.open.add(this);
    stream.on("close", () => this.#close());
    // What goes wrong with the connection ends in "close".
    stream.on("error", () => undefined);
  }

  get caller(): Caller | undefined {
    return this.#caller;
  }

  get sender(): Sender {
    return this.#caller ?? networkOf(this.stream.session?.socket.remoteAddress);
  }

  get strikes(): Strikes {
    return this.calls.strikes;
  }

  get tracing(): Tracing {
    return this.calls.tracing;
  }

  /** Counts the call as the caller's until it is closed. */
  enter(caller: Caller): void {
    this.#caller = caller;
    if (!this.#closed) caller.open++;
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when the client is gone or has its status. */
  get ended(): Promise<void> {
    return this.#closed ? Promise.resolve() : new Promise((resolve) => this.stream.once("close", resolve));
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController();
      // All requests of a stream listen to the one signal.
      if (this.streaming) setMaxListeners(0, this.#abort.signal);
    }
    if (this.#closed) this.#abort.abort();
    return this.#abort.signal;
  }

  abort(): void {
    this.#abort?.abort();
  }

  get runDeadline(): number {
    return this.calls.settings.runDeadline;
  }

  get timeLeft(): number | undefined {
    return this.deadlineAt === Number.POSITIVE_INFINITY
      ? undefined
      : Math.max(0, this.deadlineAt - performance.now());
  }

  /** Metadata of this name, when it came once. */
  metadata(name: string): string | undefined {
    const value = this.headers[name];
    return typeof value === "string" ? value : undefined;
  }

  /** Sends one message. Its parts are written as they are; `held` is disposed of when they have been sent. */
  send(parts: readonly Uint8Array[], held?: Disposable): void | Promise<void> {
    let length = 0;
    for (const part of parts) length += part.length;
    const { settings } = this.calls;
    const compress =
      settings.responseCompression &&
      length >= WORTH_COMPRESSING &&
      /(^|,)\s*gzip\s*(,|$)/.test(this.metadata("grpc-accept-encoding") ?? "");
    if (compress) {
      return compressedFrame(parts).then(
        (frame) => {
          held?.[Symbol.dispose]();
          this.#write(frame, true);
        },
        (error: unknown) => {
          held?.[Symbol.dispose]();
          throw error;
        },
      );
    }
    if (length < JOINED_BELOW) {
      const joined = Buffer.concat([prefixOf(length), ...parts]);
      held?.[Symbol.dispose]();
      this.#write([joined], false);
      return;
    }
    this.#write([prefixOf(length), ...parts], false, held);
  }

  #write(parts: readonly Uint8Array[], compressed: boolean, held?: Disposable): void {
    if (this.#closed || this.stream.destroyed || this.#trailers !== undefined) {
      held?.[Symbol.dispose]();
      return;
    }
    this.#begin(compressed);
    const { stream } = this;
    if (held !== undefined) this.#held.add(held);
    stream.cork();
    parts.forEach((part, i) => {
      this.#bytesOut += part.length;
      const last = i === parts.length - 1 && held !== undefined;
      if (last) stream.write(part, () => this.#release(held));
      else stream.write(part);
    });
    stream.uncork();
  }

  #release(held: Disposable): void {
    if (this.#held.delete(held)) held[Symbol.dispose]();
  }

  #begin(compressed: boolean): void {
    const { stream } = this;
    if (stream.headersSent) return;
    const headers: Record<string, string | number> = {
      [HTTP2_HEADER_STATUS]: 200,
      [HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      "grpc-accept-encoding": "identity,gzip,deflate",
      "x-request-id": this.id,
    };
    if (compressed || this.calls.settings.responseCompression) headers["grpc-encoding"] = "gzip";
    stream.respond(headers, { waitForTrailers: true });
    stream.once("wantTrailers", () => {
      stream.sendTrailers(this.#trailers ?? { "grpc-status": String(GRPC.unknown) });
      // The rest of a request that nobody reads any more must not hold the stream. Closed at once, the trailers are lost.
      if (!this.received) setImmediate(() => stream.close(NGHTTP2_NO_ERROR));
    });
  }

  /** Ends the call well. */
  finish(): void {
    this.#finished = true;
    this.#end({ "grpc-status": "0" });
  }

  /** Ends the call with an error; what was sent before stays sent. */
  fail(error: TenonError): void {
    if (this.#closed || this.#trailers !== undefined) return;
    const { code } = error;
    this.noteFailure(error);
    this.#end({
      "grpc-status": String(typeof error.details.grpc === "number" ? error.details.grpc : grpcStatus(code)),
      "grpc-message": percentEncoded(this.textOf(error)),
      "x-tenon-error": code,
    });
  }

  /** Logs what is the server's own failure, and keeps the code for the access log. */
  noteFailure(error: TenonError): void {
    const { code } = error;
    if (STATUS[code] === 500)
      this.calls.settings.log?.error({ id: this.id, code, err: error }, error.message);
    this.#code = code;
  }

  /** The words of an error. */
  textOf(error: TenonError, { model, requestId }: Subject = this): string {
    const context: ErrorContext = {
      model: model?.name ?? "",
      maxBatch: model?.maxBatch ?? 0,
      id: requestId,
    };
    return errorText(error, context);
  }

  #end(trailers: Record<string, string>): void {
    const { stream } = this;
    if (this.#closed || stream.destroyed || this.#trailers !== undefined) return;
    this.#trailers = trailers;
    this.answeredAt = performance.now();
    if (stream.headersSent) {
      stream.end();
      return;
    }
    stream.respond(
      {
        [HTTP2_HEADER_STATUS]: 200,
        [HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
        "x-request-id": this.id,
        ...trailers,
      },
      { endStream: true },
    );
    if (!this.received) stream.close(NGHTTP2_NO_ERROR);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    this.calls.open.delete(this);
    if (this.#caller !== undefined) this.#caller.open--;
    // Not disposed of: the connection may still be sending from that memory, which the garbage collector frees later.
    this.#held.clear();
    if (this.#trailers === undefined) this.#code = "CANCELLED";
    // A call that ended well has nothing left to stop, and to abort costs the making of an exception.
    if (!this.#finished) this.#abort?.abort();
    this.#report();
  }

  #report(): void {
    const { log } = this.calls.settings;
    const logged = log?.switches.info === true;
    if (!logged && !heard("server:request")) return;
    const trace = traceIdOf(this.headers);
    const facts = {
      id: this.id,
      ...(trace === undefined ? {} : { trace }),
      method: "POST",
      path: this.path,
      status: this.#code === undefined ? 200 : STATUS[this.#code],
      milliseconds: Math.round((performance.now() - this.startedAt) * 1000) / 1000,
      bytesIn: this.bytesIn,
      bytesOut: this.#bytesOut,
      ...(this.#caller === undefined ? {} : { key: this.#caller.name }),
      ...(this.#code === undefined ? {} : { error: this.#code }),
    };
    emit("server:request", facts);
    if (logged) log?.info(facts, "request");
  }
}
