/** Requests that a front handed on: what they were when they came to it. */
import type { IncomingMessage } from "node:http";

export interface HandedOn {
  /** Where the client is. */
  readonly address: string | undefined;
  /** Begun while the server drains. */
  readonly late: boolean;
}

const handedOn = new WeakMap<IncomingMessage, HandedOn>();

export function handOn(req: IncomingMessage, facts: HandedOn): void {
  handedOn.set(req, facts);
}

/** Where the client of a request is. */
export function addressOf(req: IncomingMessage): string | undefined {
  return req.socket.remoteAddress ?? handedOn.get(req)?.address;
}

/** Whether a request that comes while the server drains began before. */
export function isEarly(req: IncomingMessage): boolean {
  return handedOn.get(req)?.late === false;
}
