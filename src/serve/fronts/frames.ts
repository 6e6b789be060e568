/** Frames between a server and its fronts: a header of 16 bytes each, then text and numbers, then tensors as the bytes they are. */
import type { Socket } from "node:net";
import { Doorbell } from "../../runtime/runner/doorbell.js";
import type { BodyPool } from "../http/body-pool.js";

/** Kinds of frames; those from 16 on come from the server. */
export const FRAME = {
  /** A request that is ready to run. */
  infer: 1,
  /** The client of request `number` has its answer, of `value` bytes, or is gone. */
  closed: 2,
  /** `value` connections have ended. */
  parted: 3,
  /** A request whose client went away before it was whole. */
  gone: 4,
  /** Outputs of a run, to be written as the request asked for. */
  outputs: 16,
  /** A whole answer. */
  answer: 17,
  /** What the answers of a model begin with; outputs name it by its number. */
  face: 18,
} as const;

/** Bits of a frame's flags. */
export const FLAG = {
  /** The connection ends behind this answer. */
  last: 1,
  /** The client took its answer. */
  taken: 2,
  /** Tensors begin at cache lines. */
  lines: 4,
  /** The request began while the server drains. */
  late: 8,
} as const;

export const HEADER_BYTES = 16;

/** Frames up to this size are joined; larger ones have memory of their own. */
export const JOINED_BYTES = 64 * 1024;

/** Tensors begin at multiples of this; in frames that are not joined at multiples of a cache line. */
export const ALIGNMENT = 8;
export const LINE = 64;

export function padded(length: number, alignment: number = ALIGNMENT): number {
  return Math.ceil(length / alignment) * alignment;
}

export interface FrameHeader {
  readonly kind: number;
  readonly flags: number;
  readonly extra: number;
  /** The request that it is about. */
  readonly number: number;
  readonly value: number;
}

export function writeHeader(bytes: Buffer, at: number, length: number, header: FrameHeader): void {
  bytes.writeUInt32LE(length, at);
  bytes[at + 4] = header.kind;
  bytes[at + 5] = header.flags;
  bytes.writeUInt16LE(header.extra, at + 6);
  bytes.writeUInt32LE(header.number, at + 8);
  bytes.writeUInt32LE(header.value, at + 12);
}

/** Bytes that wait to be written, from which on the other side is not asked for more. */
const CROWDED_BYTES = 16 * 2 ** 20;

/** Writes frames in order, all small ones of one turn of the event loop together. */
export class FrameWriter {
  readonly #socket: Socket;
  readonly #bell: Doorbell;
  #slab = Buffer.allocUnsafeSlow(2 * JOINED_BYTES);
  #at = 0;
  #scheduled = false;
  #wanted: (() => void)[] = [];
  readonly #flush = (): void => {
    this.#scheduled = false;
    this.#send();
  };

  constructor(socket: Socket) {
    this.#socket = socket;
    this.#bell = new Doorbell(socket);
    socket.on("drain", () => {
      for (const wanted of this.#wanted.splice(0)) wanted();
    });
  }

  /** True while the other side does not take what it is sent. */
  get crowded(): boolean {
    return this.#socket.writableLength > CROWDED_BYTES;
  }

  /** Calls back when it has taken all. */
  whenDrained(wanted: () => void): void {
    this.#wanted.push(wanted);
  }

  /** Memory for a frame of at most `most` bytes, no more than are joined; it begins at `commit`'s `from`. */
  reserve(most: number): { readonly bytes: Buffer; readonly at: number } {
    if (this.#at + most > this.#slab.length) this.#send();
    return { bytes: this.#slab, at: this.#at };
  }

  /** The reserved frame ends at `end`, a multiple of the alignment behind its begin. */
  commit(end: number): void {
    this.#at = end;
    if (this.#scheduled) return;
    this.#scheduled = true;
    setImmediate(this.#flush);
  }

  /** Writes a large frame in parts; `taken` is called when the system has them, or never will. */
  large(parts: readonly Uint8Array[], taken: () => void): void {
    const socket = this.#socket;
    this.#send();
    if (socket.destroyed) {
      taken();
      return;
    }
    socket.cork();
    parts.forEach((part, i) => void socket.write(part, i === parts.length - 1 ? taken : undefined));
    socket.uncork();
  }

  #send(): void {
    if (this.#at === 0) return;
    const bytes = this.#slab.subarray(0, this.#at);
    this.#at = 0;
    if (this.#socket.destroyed) return;
    this.#bell.ring(bytes);
    // What the socket still holds must not change.
    if (this.#socket.writableLength > 0) this.#slab = Buffer.allocUnsafeSlow(2 * JOINED_BYTES);
  }
}

const NONE = Buffer.alloc(0);

/** Cuts a stream into frames. Memory of small frames is the reader's own, that of large ones comes from `pool`. */
export class FrameReader {
  readonly #limit: number;
  readonly #pool: BodyPool;
  readonly #take: (header: FrameHeader, frame: Buffer) => void;
  #rest: Buffer = NONE;
  #large: Buffer | undefined;
  #filled = 0;

  /** `take` gets each frame as a whole. */
  constructor(limit: number, pool: BodyPool, take: (header: FrameHeader, frame: Buffer) => void) {
    this.#limit = limit;
    this.#pool = pool;
    this.#take = take;
  }

  /** `chunk` is copied. Throws RangeError for what is no frame: the writer cannot be trusted any more. */
  push(chunk: Uint8Array): void {
    let at = 0;
    if (this.#large !== undefined) {
      at = Math.min(chunk.length, this.#large.length - this.#filled);
      this.#large.set(chunk.subarray(0, at), this.#filled);
      this.#filled += at;
      if (this.#filled < this.#large.length) return;
      const frame = this.#large;
      this.#large = undefined;
      this.#deliver(frame);
      if (at === chunk.length) return;
    }
    const rest = this.#rest;
    const bytes = Buffer.allocUnsafeSlow(rest.length + chunk.length - at);
    bytes.set(rest);
    bytes.set(at === 0 ? chunk : chunk.subarray(at), rest.length);
    this.#rest = NONE;
    this.#cut(bytes);
  }

  #cut(bytes: Buffer): void {
    let at = 0;
    while (bytes.length - at >= HEADER_BYTES) {
      const length = bytes.readUInt32LE(at);
      if (length < HEADER_BYTES || length % ALIGNMENT !== 0 || length > this.#limit) {
        throw new RangeError(`a frame of ${length} bytes`);
      }
      if (length > bytes.length - at) {
        if (length <= JOINED_BYTES) break;
        this.#large = this.#pool.take(length);
        this.#filled = bytes.copy(this.#large, 0, at);
        return;
      }
      this.#deliver(bytes.subarray(at, at + length));
      at += length;
    }
    if (at < bytes.length) this.#rest = bytes.subarray(at);
  }

  #deliver(frame: Buffer): void {
    const header = {
      kind: frame[4]!,
      flags: frame[5]!,
      extra: frame.readUInt16LE(6),
      number: frame.readUInt32LE(8),
      value: frame.readUInt32LE(12),
    };
    this.#take(header, frame);
  }
}
