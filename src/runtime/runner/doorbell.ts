/** Doorbell: frames over a socket by the shortest way: written by one system call, read into memory that is kept. */
import { writeSync } from "node:fs";
import { type OnReadOpts, Socket, type SocketConstructorOpts } from "node:net";

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

/** More than all frames that are ever on their way at once, but for results that are streamed. */
const READ_BYTES = 64 << 10;

/** A socket whose chunks come in memory that is used again: `take` copies what it keeps. It reads once it is resumed. */
export function openSocket(
  of: { readonly fd: number } | { readonly handle: object },
  take: (chunk: Uint8Array) => void,
): Socket {
  const buffer = new Uint8Array(READ_BYTES);
  const onread: OnReadOpts = {
    buffer,
    callback: (bytes) => {
      take(buffer.subarray(0, bytes));
      return true;
    },
  };
  const options: SocketConstructorOpts & { readonly onread: OnReadOpts } = {
    ...of,
    readable: true,
    writable: true,
    onread,
  };
  return new Socket(options);
}

/** The other end of a child's pipe, as `openSocket` gives it; the socket that Node.js made for it lets go of it. */
export function takeOver(socket: Socket, take: (chunk: Uint8Array) => void): Socket {
  const made = socket as Socket & { _handle?: object | null };
  const { _handle: handle } = made;
  if (handle === undefined || handle === null) return socket.on("data", take);
  made._handle = null;
  return openSocket({ handle }, take).resume();
}

/** The descriptor of an open socket, asked for each time: the system gives that of a closed one to others. */
function openDescriptor(socket: Socket): number | undefined {
  const { _handle: handle } = socket as Socket & { readonly _handle?: { readonly fd?: unknown } | null };
  const fd = handle?.fd;
  return !socket.destroyed && typeof fd === "number" && fd >= 0 ? fd : undefined;
}
