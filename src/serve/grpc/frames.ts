/** gRPC's framing: each message has a flag (compressed or not) and its length in front. */
import { gunzip, gzip, inflate } from "node:zlib";
import { TenonError } from "../../base/index.js";
import type { BodyPool } from "../http/body-pool.js";

const PREFIX = 5;

/** Alignment that every tensor can be viewed at. */
const ALIGNMENT = 8;

/** One message, as it came. */
export interface Frame {
  readonly compressed: boolean;
  readonly bytes: Buffer;
}

export interface FrameLimits {
  /** Most bytes of one message, also after decompression. */
  readonly maxBytes: number;
  readonly pool: BodyPool;
  /** Where in the message bytes begin that should lie aligned, from its first bytes; 0 when it cannot be told. */
  readonly alignAt?: ((first: Uint8Array) => number) | undefined;
}

/** Collects the chunks of a stream into messages, each in one piece of memory. */
export class FrameReader {
  readonly #limits: FrameLimits;
  readonly #take: (frame: Frame) => void;
  readonly #prefix = Buffer.alloc(PREFIX);
  #prefixFilled = 0;
  #length = 0;
  #buffer: Buffer | undefined;
  #filled = 0;

  constructor(limits: FrameLimits, take: (frame: Frame) => void) {
    this.#limits = limits;
    this.#take = take;
  }

  /** True in the middle of a message. */
  get inside(): boolean {
    return this.#prefixFilled > 0;
  }

  /** Throws REQUEST_TOO_LARGE or REQUEST_INVALID. */
  add(chunk: Buffer): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#prefixFilled < PREFIX) {
        const count = Math.min(PREFIX - this.#prefixFilled, chunk.length - at);
        chunk.copy(this.#prefix, this.#prefixFilled, at, at + count);
        this.#prefixFilled += count;
        at += count;
        if (this.#prefixFilled === PREFIX) this.#begin();
        if (this.#length > 0 || this.#prefixFilled < PREFIX) continue;
        this.#finish(Buffer.alloc(0));
        continue;
      }
      at += this.#fill(chunk, at);
    }
  }

  #begin(): void {
    this.#length = this.#prefix.readUInt32BE(1);
    this.#filled = 0;
    const { maxBytes } = this.#limits;
    if (this.#prefix[0]! > 1) {
      throw new TenonError("REQUEST_INVALID", {
        problem: `a message's first byte is ${this.#prefix[0]}, not 0 or 1`,
      });
    }
    if (this.#length > maxBytes) throw tooLarge(this.#length, maxBytes);
  }

  /** How many bytes of the chunk belong to the message. */
  #fill(chunk: Buffer, at: number): number {
    const count = Math.min(this.#length - this.#filled, chunk.length - at);
    if (this.#buffer === undefined) {
      const first = chunk.subarray(at, at + count);
      if (count === this.#length) {
        this.#finish(first);
        return count;
      }
      const place = this.#limits.alignAt?.(first) ?? 0;
      const shift = (ALIGNMENT - (place % ALIGNMENT)) % ALIGNMENT;
      this.#buffer = this.#limits.pool.take(this.#length + shift).subarray(shift);
    }
    chunk.copy(this.#buffer, this.#filled, at, at + count);
    this.#filled += count;
    if (this.#filled === this.#length) this.#finish(this.#buffer);
    return count;
  }

  #finish(bytes: Buffer): void {
    const compressed = this.#prefix[0] === 1;
    this.#prefixFilled = 0;
    this.#length = 0;
    this.#buffer = undefined;
    this.#take({ compressed, bytes });
  }
}

function tooLarge(length: number | string, maxBytes: number): TenonError {
  return new TenonError("REQUEST_TOO_LARGE", {
    problem: `Received message larger than max (${length} vs. ${maxBytes})`,
  });
}

/** The content of a frame. Throws REQUEST_UNSUPPORTED for other encodings than gzip and deflate, REQUEST_INVALID. */
export function contentOf(
  frame: Frame,
  encoding: string | undefined,
  maxBytes: number,
): Buffer | Promise<Buffer> {
  if (!frame.compressed) return frame.bytes;
  const decompress = encoding === "gzip" ? gunzip : encoding === "deflate" ? inflate : undefined;
  if (decompress === undefined) {
    throw new TenonError("REQUEST_UNSUPPORTED", {
      problem: `messages compressed with "${String(encoding).slice(0, 32)}" cannot be read: identity, gzip or deflate`,
    });
  }
  return new Promise((resolve, reject) => {
    decompress(frame.bytes, { maxOutputLength: maxBytes }, (error, bytes) => {
      if (error === null) resolve(bytes);
      else if ("code" in error && error.code === "ERR_BUFFER_TOO_LARGE")
        reject(tooLarge("decompressed", maxBytes));
      else {
        reject(
          new TenonError("REQUEST_INVALID", {
            problem: `the message is not valid ${encoding} data`,
            cause: error,
          }),
        );
      }
    });
  });
}

/** The prefix of a message of so many bytes. */
export function prefixOf(length: number, compressed = false): Buffer {
  const prefix = Buffer.allocUnsafe(PREFIX);
  prefix[0] = compressed ? 1 : 0;
  prefix.writeUInt32BE(length, 1);
  return prefix;
}

/** One message from its parts, compressed. */
export function compressedFrame(parts: readonly Uint8Array[]): Promise<readonly Uint8Array[]> {
  return new Promise((resolve, reject) => {
    gzip(Buffer.concat(parts), (error, bytes) => {
      if (error === null) resolve([prefixOf(bytes.length, true), bytes]);
      else reject(new TenonError("INTERNAL", { cause: error }));
    });
  });
}
