/** Doorbell: writes frames to a socket by the shortest way, one system call without a stream's bookkeeping. */
import { writeSync } from "node:fs";
import type { Socket } from "node:net";

/** Sends frames in order over `socket`, whose other end is a model process or its parent. */
export class Doorbell {
  readonly #socket: Socket;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** Sends one frame. What the system does not take at once, and every error, is left to the socket. */
  ring(frame: Uint8Array): void {
    const socket = this.#socket;
    const fd = openDescriptor(socket);
    // Frames that the socket still holds were sent before this one.
    if (fd === undefined || socket.writableLength > 0) {
      socket.write(frame);
      return;
    }
    let sent = 0;
    try {
      sent = writeSync(fd, frame);
    } catch {
      // full or closed: the socket waits, or tells
    }
    if (sent < frame.length) socket.write(frame.subarray(sent));
  }
}

/** The descriptor of an open socket, asked for each time: the system gives that of a closed one to others. */
function openDescriptor(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: unknown } | null };
  const fd = handle?.fd;
  return !socket.destroyed && typeof fd === "number" && fd >= 0 ? fd : undefined;
}
