/** PlainConnection: a client's connection as long as plain requests come on it, each whole; then node:http takes it over. */
import { type IncomingHttpHeaders, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { BodyPart, HeaderList } from "./open-exchange.js";
import { type PlainHead, plainHead } from "./plain-head.js";

/** What connections have in common. */
export interface PlainDoor {
  readonly headerBytes: number;
  readonly headerCount: number;
  /** How long a connection may be idle, in milliseconds. */
  readonly keepAlive: number;
  /** False when a request is for node:http after all: its head is plain. */
  isWelcome(head: PlainHead): boolean;
  take(request: PlainRequest): void;
  /** From now on the connection is node:http's, which reads `bytes` first. */
  handOver(socket: Socket, bytes: Buffer): void;
}

const HEAD_END = "\r\n\r\n";

let date = "";
let dateAt = 0;

/** The time, as the header `Date` has it. */
function dateText(): string {
  const now = Date.now();
  if (now >= dateAt + 1000 || now < dateAt) {
    dateAt = now - (now % 1000);
    date = new Date(now).toUTCString();
  }
  return date;
}

/** One request of a plain connection, and its answer. */
export class PlainRequest {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Told once that the client has its answer (`taken`), or is gone. */
  onClose: (taken: boolean) => void = () => undefined;
  readonly #connection: PlainConnection;
  #answered = false;
  #closed = false;

  constructor(connection: PlainConnection, { path, headers }: PlainHead, body: Buffer) {
    this.#connection = connection;
    this.path = path;
    this.headers = headers;
    this.body = body;
  }

  get address(): string | undefined {
    return this.#connection.socket.remoteAddress;
  }

  get answered(): boolean {
    return this.#answered;
  }

  /** Sends the whole answer; with `last` the connection ends behind it. Byte parts must not change until it is closed. */
  answer(status: number, headers: HeaderList, parts: readonly BodyPart[], last: boolean): void {
    if (this.#answered || this.#closed) return;
    this.#answered = true;
    this.#connection.write(status, headers, parts, last, (error) => {
      // What went wrong ends the connection.
      if (error != null) return;
      this.close(true);
      this.#connection.next(this, last);
    });
  }

  /** Gives up a client that does not take its answer. */
  giveUp(): void {
    this.#connection.socket.destroy();
  }

  close(taken: boolean): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onClose(taken);
  }
}

export class PlainConnection {
  readonly socket: Socket;
  readonly #door: PlainDoor;
  readonly #left: (connection: PlainConnection) => void;
  /** When it was last seen to do something. */
  idleSince = performance.now();
  #current: PlainRequest | undefined;
  /** What came behind it. */
  #ahead: Buffer | undefined;
  /** Requests of one client mostly have one head. */
  #lastText = "";
  #lastHead: PlainHead | undefined;
  readonly #onData = (chunk: Buffer): void => this.#take(chunk);
  readonly #onClose = (): void => {
    this.#left(this);
    this.#current?.close(false);
  };

  /** `left` is called when it has ended, or is node:http's. */
  constructor(socket: Socket, door: PlainDoor, left: (connection: PlainConnection) => void) {
    this.socket = socket;
    this.#door = door;
    this.#left = left;
    socket.on("data", this.#onData);
    socket.on("close", this.#onClose);
    socket.on("error", ignore);
  }

  /** True while nothing is under way on it. */
  get idle(): boolean {
    return this.#current === undefined;
  }

  #take(chunk: Buffer): void {
    if (this.#current !== undefined) {
      // It has to wait its turn, and is not read on meanwhile.
      this.socket.pause();
      this.#ahead = this.#ahead === undefined ? chunk : Buffer.concat([this.#ahead, chunk]);
      return;
    }
    const end = chunk.indexOf(HEAD_END);
    const { headerBytes } = this.#door;
    if (end > 0 && end <= headerBytes) {
      const head = this.#headOf(chunk.toString("latin1", 0, end));
      const from = end + HEAD_END.length;
      if (head !== undefined && chunk.length - from === head.length && this.#door.isWelcome(head)) {
        const request = new PlainRequest(this, head, chunk.subarray(from));
        this.#current = request;
        this.#door.take(request);
        return;
      }
    }
    this.#handOver(chunk);
  }

  #headOf(text: string): PlainHead | undefined {
    if (text !== this.#lastText) {
      this.#lastText = text;
      this.#lastHead = plainHead(text, this.#door.headerCount);
    }
    return this.#lastHead;
  }

  #handOver(bytes: Buffer): void {
    const { socket } = this;
    socket.off("data", this.#onData).off("close", this.#onClose).off("error", ignore);
    this.#left(this);
    this.#door.handOver(socket, bytes);
  }

  write(
    status: number,
    headers: HeaderList,
    parts: readonly BodyPart[],
    last: boolean,
    taken: (error?: Error | null) => void,
  ): void {
    const { socket } = this;
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n`;
    for (let i = 0; i < headers.length; i += 2) head += `${headers[i]}: ${headers[i + 1]}\r\n`;
    const seconds = Math.floor(this.#door.keepAlive / 1000);
    head += last
      ? `Date: ${dateText()}\r\nConnection: close\r\n\r\n`
      : `Date: ${dateText()}\r\nConnection: keep-alive\r\nKeep-Alive: timeout=${seconds}\r\n\r\n`;
    const [only] = parts;
    if (parts.length === 0 || (parts.length === 1 && typeof only === "string")) {
      socket.write(head + (only ?? ""), "latin1", taken);
      return;
    }
    socket.cork();
    socket.write(head, "latin1");
    parts.forEach((part, i) => {
      const told = i === parts.length - 1 ? taken : undefined;
      if (typeof part === "string") socket.write(part, "latin1", told);
      else socket.write(part, told);
    });
    socket.uncork();
  }

  /** The answer to `request` has left. */
  next(request: PlainRequest, last: boolean): void {
    if (this.#current !== request) return;
    this.#current = undefined;
    this.idleSince = performance.now();
    const { socket } = this;
    if (last) {
      socket.destroySoon();
      return;
    }
    const ahead = this.#ahead;
    if (ahead === undefined) return;
    this.#ahead = undefined;
    this.#take(ahead);
    socket.resume();
  }
}

function ignore(): void {
  // its end follows
}

/** The plain connections of one process, and their time limits. */
export class PlainConnections {
  readonly #open = new Set<PlainConnection>();
  readonly #door: PlainDoor;
  readonly #sweeper: NodeJS.Timeout;

  constructor(door: PlainDoor, headersTimeout: number, late: (socket: Socket) => void) {
    this.#door = door;
    const { keepAlive } = door;
    const interval = Math.min(1000, Math.max(50, Math.min(keepAlive, headersTimeout) / 2));
    this.#sweeper = setInterval(() => {
      const now = performance.now();
      for (const { idle, idleSince, socket } of this.#open) {
        if (!idle) continue;
        if (socket.bytesRead === 0) {
          if (now - idleSince > headersTimeout) late(socket);
        } else if (now - idleSince > keepAlive) socket.destroy();
      }
    }, interval).unref();
  }

  take(socket: Socket): void {
    this.#open.add(new PlainConnection(socket, this.#door, (connection) => this.#open.delete(connection)));
  }

  /** Ends those on which something was said, and nothing is under way. */
  closeIdle(): void {
    for (const { idle, socket } of this.#open) if (idle && socket.bytesRead > 0) socket.destroy();
  }

  /** Ends those on which nothing was ever said. */
  closeSilent(): void {
    for (const { socket } of this.#open) if (socket.bytesRead === 0) socket.destroy();
  }

  closeAll(): void {
    for (const { socket } of this.#open) socket.destroy();
  }

  /** Stops looking. */
  close(): void {
    clearInterval(this.#sweeper);
  }
}
