/** Exchange: one request and its answer, from the first look at the headers to the line in the access log. */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import { type ErrorCode, emit, heard } from "../../base/index.js";
import { type Traced, type Tracing, traceIdOf } from "../observe/tracing.js";
import type { ErrorDialect } from "../openapi/route-doc.js";
import type { Roster, Rostered } from "../roster.js";
import type { BodyPool } from "./body-pool.js";
import type { Caller } from "./key-ring.js";
import type { HandlerSettings } from "./settings.js";
import { networkOf, type Sender, type Strikes } from "./strikes.js";

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/;

/** Ids of one process: a random start, then counted. */
const idPrefix = `${Math.floor(Math.random() * 36 ** 6)
  .toString(36)
  .padStart(6, "0")}-`;
let lastId = 0;

/** What the exchanges of one handler share. */
export interface Exchanges {
  readonly settings: HandlerSettings;
  readonly strikes: Strikes;
  readonly tracing: Tracing;
  readonly bodies: BodyPool;
  /** Requests without an answer, and answers that the client has not taken yet. */
  readonly open: Roster<Exchange>;
  draining: boolean;
  /** How the routes of a path write their errors. */
  dialectOf(path: string): ErrorDialect | undefined;
}

/** A piece of an answer's body. */
export type BodyPart = string | Uint8Array;

/** Header names and values in turn. */
export type HeaderList = readonly string[];

/** One request and its answer. */
export class Exchange implements Rostered {
  seat = -1;
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  readonly exchanges: Exchanges;
  /** The client's `x-request-id`, or one of our own. */
  readonly id: string;
  readonly path: string;
  readonly #startedAt = performance.now();
  bytesIn = 0;
  #caller: Caller | undefined;
  /** The model asked for, once it is known. */
  model: { readonly name: string; readonly maxBatch: number } | undefined;
  /** The id that the body gives its request, once it is known. */
  bodyId: string | undefined;
  #bytesOut = 0;
  #status = 0;
  #error: ErrorCode | undefined;
  /** When the model began with it, its queue included; 0 before. */
  runningSince = 0;
  /** When the answer was handed to the socket, for the reply timeout; 0 before. */
  answeredAt = 0;
  /** How its run is traced, where it is. */
  traced: Traced | undefined;
  #abort: AbortController | undefined;
  #closed = false;
  #held: Disposable | undefined;
  /** Called when it is closed. */
  #told: (() => void) | undefined;

  constructor(req: IncomingMessage, res: ServerResponse, exchanges: Exchanges, path: string) {
    this.req = req;
    this.res = res;
    this.exchanges = exchanges;
    this.path = path;
    const given = req.headers["x-request-id"];
    this.id =
      typeof given === "string" && REQUEST_ID.test(given) ? given : idPrefix + (++lastId).toString(36);
    exchanges.open.add(this);
    res.on("close", () => this.#close());
    // Behind another request of its connection an answer has no socket yet, and is not told when that closes.
    if (res.socket === null) this.#watch(req.socket);
  }

  #watch(socket: Socket): void {
    const gone = (): void => this.#close();
    socket.setMaxListeners(0).once("close", gone);
    this.#told = () => void socket.off("close", gone);
  }

  /** Whose key the request shows; undefined where none is asked for. */
  get caller(): Caller | undefined {
    return this.#caller;
  }

  get sender(): Sender {
    return this.#caller ?? networkOf(this.req.socket.remoteAddress);
  }

  get strikes(): Strikes {
    return this.exchanges.strikes;
  }

  get headers(): IncomingMessage["headers"] {
    return this.req.headers;
  }

  get tracing(): Tracing {
    return this.exchanges.tracing;
  }

  /** Counts the exchange as the caller's until it is closed. */
  enter(caller: Caller): void {
    this.#caller = caller;
    if (!this.#closed) caller.open++;
  }

  /** Longest time of one run in milliseconds. */
  get runDeadline(): number {
    return this.exchanges.settings.runDeadline;
  }

  /** True when the client is gone or has its answer. */
  get closed(): boolean {
    return this.#closed;
  }

  /** Resolves when the client is gone or has its answer. */
  get ended(): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const told = this.#told;
    return new Promise((resolve) => {
      this.#told = () => {
        told?.();
        resolve();
      };
    });
  }

  /** Aborted when the client goes away before it has its answer. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#closed) this.#abort.abort();
    return this.#abort.signal;
  }

  /** Stops the run, where it can be stopped. */
  abort(): void {
    this.#abort?.abort();
  }

  /** Disposes of `resource` when the client has taken the answer, or is gone. */
  hold(resource: Disposable): void {
    if (this.#closed) resource[Symbol.dispose]();
    else this.#held = resource;
  }

  /**
   * Sends the whole answer. `headers` has everything but the length and what every answer carries. Parts are written
   * as they are, without a copy; byte parts must not change until the exchange is closed.
   */
  answer(status: number, headers: HeaderList, parts: readonly BodyPart[], error?: ErrorCode): void {
    if (this.#closed || this.res.headersSent) return;
    const length = this.#begin(status, headers, parts, error);
    const { res } = this;
    if (parts.length === 0) {
      res.end();
    } else if (parts.length === 1) {
      // A string of one byte per unit leaves together with the headers, in one write.
      res.end(parts[0], "latin1");
    } else {
      res.cork();
      for (const part of parts) res.write(part, "latin1");
      res.end();
      res.uncork();
    }
    this.answeredAt = performance.now();
    this.#bytesOut = length;
  }

  /**
   * Answers a request whose body has not been read and will not be: the connection closes afterwards, but not before
   * the client had a second to notice, since closing on unread bytes would lose the answer.
   */
  refuse(status: number, headers: HeaderList, body: string, error: ErrorCode): void {
    const { req, res } = this;
    if (this.#closed || res.headersSent) return;
    if (req.complete) {
      this.answer(status, headers, [body], error);
      return;
    }
    res.shouldKeepAlive = false;
    this.#bytesOut = this.#begin(status, headers, [body], error);
    res.write(body, "latin1");
    const timer = setTimeout(finish, 1000).unref();
    function finish(): void {
      clearTimeout(timer);
      if (!res.writableEnded) res.end();
    }
    req.once("end", finish);
    req.resume();
    this.answeredAt = performance.now();
  }

  #begin(
    status: number,
    headers: HeaderList,
    parts: readonly BodyPart[],
    error: ErrorCode | undefined,
  ): number {
    let length = 0;
    for (const part of parts) length += part.length;
    const { settings, draining } = this.exchanges;
    const all = headers.slice();
    if (status !== 204) all.push("Content-Length", String(length));
    all.push("x-request-id", this.id);
    if (error !== undefined) all.push("x-tenon-error", error);
    const traced = this.traced?.response;
    if (traced !== undefined) all.push("traceresponse", traced);
    const { origin } = this.req.headers;
    if (origin !== undefined && settings.corsOrigin.includes(origin)) {
      all.push("Access-Control-Allow-Origin", origin, "Vary", "Origin");
      all.push(
        "Access-Control-Expose-Headers",
        "Inference-Header-Content-Length, x-request-id, x-tenon-error",
      );
    }
    if (draining) this.res.shouldKeepAlive = false;
    this.#status = status;
    this.#error = error;
    this.res.writeHead(status, all);
    return length;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.exchanges.open.delete(this);
    if (this.#caller !== undefined) this.#caller.open--;
    this.#held?.[Symbol.dispose]();
    this.#held = undefined;
    if (this.#status === 0) {
      this.#status = 499;
      this.#error = "CANCELLED";
    }
    if (!this.res.writableFinished) this.#abort?.abort();
    this.#report();
    this.#told?.();
  }

  #report(): void {
    const { log } = this.exchanges.settings;
    const logged = log?.switches.info === true;
    if (!logged && !heard("server:request")) return;
    const trace = traceIdOf(this.req.headers);
    const facts = {
      id: this.id,
      ...(trace === undefined ? {} : { trace }),
      method: this.req.method ?? "",
      path: this.path,
      status: this.#status,
      milliseconds: Math.round((performance.now() - this.#startedAt) * 1000) / 1000,
      bytesIn: this.bytesIn,
      bytesOut: this.#bytesOut,
      ...(this.#caller === undefined ? {} : { key: this.#caller.name }),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
    emit("server:request", facts);
    if (logged) log?.info(facts, "request");
  }
}
