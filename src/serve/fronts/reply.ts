/** Reply: what one client of a front waits for, until it has it or is gone. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { requestId } from "../http/open-exchange.js";

export class Reply {
  readonly req: IncomingMessage;
  readonly res: ServerResponse;
  /** The client's `x-request-id`, or one of our own. */
  readonly id: string;
  /** Begun while the server drains. */
  readonly late: boolean;
  /** When the answer was handed to the socket; 0 before. */
  answeredAt = 0;
  bytesOut = 0;
  bodyId: string | undefined;
  #closed = false;
  /** Told once that the client has its answer, or is gone. */
  onClose: (taken: boolean) => void = () => undefined;
  readonly #told: () => void;

  constructor(req: IncomingMessage, res: ServerResponse, late: boolean, told: () => void) {
    this.req = req;
    this.res = res;
    this.id = requestId(req.headers["x-request-id"]);
    const gone = (): void => this.#close();
    res.on("close", gone);
    this.late = late;
    this.#told = told;
    // Behind another request of its connection an answer has no socket yet, and is not told when that closes.
    if (res.socket === null) req.socket.setMaxListeners(0).once("close", gone);
  }

  get closed(): boolean {
    return this.#closed;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.onClose(this.res.writableFinished);
    this.#told();
  }
}
