/** OpenExchange: one request and its answer, however they travel: who asks, what runs for it, its line in the access log. */
import type { IncomingHttpHeaders } from "node:http";
import { type ErrorCode, emit, heard, type TenonError } from "../../base/index.js";
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

/** The client's `x-request-id`, or one of our own. */
export function requestId(given: string | string[] | undefined): string {
  return typeof given === "string" && REQUEST_ID.test(given) ? given : idPrefix + (++lastId).toString(36);
}

/** What the exchanges of one handler share. */
export interface Exchanges {
  readonly settings: HandlerSettings;
  readonly strikes: Strikes;
  readonly tracing: Tracing;
  readonly bodies: BodyPool;
  /** Requests without an answer, and answers that the client has not taken yet. */
  readonly open: Roster<OpenExchange>;
  draining: boolean;
  /** How the routes of a path write their errors. */
  dialectOf(path: string): ErrorDialect | undefined;
}

/** A piece of an answer's body. */
export type BodyPart = string | Uint8Array;

/** Header names and values in turn. */
export type HeaderList = readonly string[];

/** What every answer carries besides its own headers. */
export interface AnswerMarks {
  readonly id: string;
  readonly error?: ErrorCode | undefined;
  /** W3C's `traceresponse`. */
  readonly traced?: string | undefined;
}

/** All headers of an answer whose body has `length` bytes. */
export function answerHeaders(
  status: number,
  headers: HeaderList,
  length: number,
  { id, error, traced }: AnswerMarks,
): string[] {
  const all = headers.slice();
  if (status !== 204) all.push("Content-Length", String(length));
  all.push("x-request-id", id);
  if (error !== undefined) all.push("x-tenon-error", error);
  if (traced !== undefined) all.push("traceresponse", traced);
  return all;
}

export function lengthOf(parts: readonly BodyPart[]): number {
  let length = 0;
  for (const part of parts) length += part.length;
  return length;
}

/** One request and its answer. */
export abstract class OpenExchange implements Rostered {
  seat = -1;
  readonly exchanges: Exchanges;
  readonly id: string;
  readonly path: string;
  readonly #startedAt = performance.now();
  bytesIn = 0;
  #caller: Caller | undefined;
  /** The model asked for, once it is known. */
  model: { readonly name: string; readonly maxBatch: number } | undefined;
  /** The id that the body gives its request, once it is known. */
  bodyId: string | undefined;
  protected bytesOut = 0;
  #status = 0;
  #error: ErrorCode | undefined;
  /** When the model began with it, its queue included; 0 before. */
  runningSince = 0;
  /** When the answer was handed over, for the reply timeout; 0 before. */
  answeredAt = 0;
  /** How its run is traced, where it is. */
  traced: Traced | undefined;
  #abort: AbortController | undefined;
  #closed = false;
  #held: Disposable | undefined;
  /** Called when it is closed. */
  #told: (() => void) | undefined;

  protected constructor(exchanges: Exchanges, id: string, path: string) {
    this.exchanges = exchanges;
    this.id = id;
    this.path = path;
    exchanges.open.add(this);
  }

  abstract get method(): string;
  abstract get headers(): IncomingHttpHeaders;
  /** Where the client is. */
  abstract get address(): string | undefined;

  /**
   * Sends the whole answer. `headers` has everything but the length and what every answer carries. Parts are sent as
   * they are, without a copy; byte parts must not change until the exchange is closed.
   */
  abstract answer(status: number, headers: HeaderList, parts: readonly BodyPart[], error?: ErrorCode): void;

  /** Answers with an error. */
  abstract fail(error: TenonError): void;

  /** Gives up a client that does not take its answer. */
  abstract giveUp(): void;

  /** Whose key the request shows; undefined where none is asked for. */
  get caller(): Caller | undefined {
    return this.#caller;
  }

  get sender(): Sender {
    return this.#caller ?? networkOf(this.address);
  }

  get strikes(): Strikes {
    return this.exchanges.strikes;
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
    return new Promise((resolve) => this.whenClosed(resolve));
  }

  /** Calls `tell` when it is closed, besides who was to be called already. */
  protected whenClosed(tell: () => void): void {
    const before = this.#told;
    this.#told =
      before === undefined
        ? tell
        : () => {
            before();
            tell();
          };
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

  /** Disposes of what is held. */
  protected release(): void {
    this.#held?.[Symbol.dispose]();
    this.#held = undefined;
  }

  /** Notes the outcome, for the log. */
  protected answeredWith(status: number, error: ErrorCode | undefined): void {
    this.#status = status;
    this.#error = error;
  }

  protected get marks(): AnswerMarks {
    return { id: this.id, error: this.#error, traced: this.traced?.response };
  }

  /** The client has its answer (`taken`), or is gone. */
  protected close(taken: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.exchanges.open.delete(this);
    if (this.#caller !== undefined) this.#caller.open--;
    this.release();
    if (this.#status === 0) this.answeredWith(499, "CANCELLED");
    if (!taken) this.#abort?.abort();
    this.#report();
    this.#told?.();
  }

  #report(): void {
    const { log } = this.exchanges.settings;
    const logged = log?.switches.info === true;
    if (!logged && !heard("server:request")) return;
    const trace = traceIdOf(this.headers);
    const facts = {
      id: this.id,
      ...(trace === undefined ? {} : { trace }),
      method: this.method,
      path: this.path,
      status: this.#status,
      milliseconds: Math.round((performance.now() - this.#startedAt) * 1000) / 1000,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      ...(this.#caller === undefined ? {} : { key: this.#caller.name }),
      ...(this.#error === undefined ? {} : { error: this.#error }),
    };
    emit("server:request", facts);
    if (logged) log?.info(facts, "request");
  }
}
