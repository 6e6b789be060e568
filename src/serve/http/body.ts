/** A request's body in one buffer, laid out so that a binary section behind a JSON header is aligned for tensor views. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { gunzip, inflate } from "node:zlib";
import { TenonError } from "../../base/index.js";
import type { BodyPool } from "./body-pool.js";
import type { HandlerSettings } from "./settings.js";

/** Tensors in the binary section may be viewed as any dtype, and as whole cache lines. */
const ALIGNMENT = 64;

export interface BodyLimits {
  readonly maxBytes: number;
  readonly maxChunks: number;
  /** Bytes in front of the part that is to be aligned; undefined: there is none, the body is all JSON. */
  readonly headerLength: number | undefined;
  /** Where the memory of large bodies with an aligned part comes from. */
  readonly pool: BodyPool;
}

/** Requests whose client waits for "100 Continue" before it sends its body. */
const expecting = new WeakMap<IncomingMessage, ServerResponse>();

/** The body is asked for when it is first read, so that a refused request never sends one. */
export function expectBody(req: IncomingMessage, res: ServerResponse): void {
  expecting.set(req, res);
}

/** True while the client still waits to be asked for its body. */
export function isExpecting(req: IncomingMessage): boolean {
  return expecting.has(req);
}

/** True when the client says that it will send a body. */
export function hasBody(req: IncomingMessage): boolean {
  const { headers } = req;
  return headers["transfer-encoding"] !== undefined || (headers["content-length"] ?? "0") !== "0";
}

/** The announced length; undefined for chunked bodies. The parser has checked that it is a number. */
function contentLength(req: IncomingMessage): number | undefined {
  if (req.headers["transfer-encoding"] !== undefined) return undefined;
  return Number(req.headers["content-length"] ?? 0);
}

/** Throws REQUEST_TOO_LARGE when the announced length is over the limit, before anything is read. */
export function checkAnnouncedLength(req: IncomingMessage, maxBytes: number): void {
  const length = contentLength(req);
  if (length !== undefined && length > maxBytes) throw tooLarge(length, maxBytes);
}

function tooLarge(length: number | string, maxBytes: number): TenonError {
  return new TenonError("REQUEST_TOO_LARGE", {
    problem: `request body size ${length} bytes exceeds the maximum allowed value of ${maxBytes} bytes. Use --body-max or --json-body-max to increase the limit.`,
  });
}

/**
 * Reads the whole body, uncompressed. Throws REQUEST_TOO_LARGE (nothing more is read then), REQUEST_UNSUPPORTED for an
 * unknown Content-Encoding, REQUEST_INVALID for broken compressed data, CANCELLED when the client goes away.
 */
export function readBody(req: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  const encoding = req.headers["content-encoding"];
  if (encoding === undefined || encoding === "identity" || encoding === "") return readPlain(req, limits);
  return readCompressed(req, limits, encoding);
}

async function readCompressed(req: IncomingMessage, limits: BodyLimits, encoding: string): Promise<Buffer> {
  const decompress = encoding === "gzip" ? gunzip : encoding === "deflate" ? inflate : undefined;
  if (decompress === undefined) {
    throw new TenonError("REQUEST_UNSUPPORTED", {
      problem: "Unsupported compression type",
      details: { acceptEncoding: "gzip, deflate" },
    });
  }
  const compressed = await readPlain(req, { ...limits, headerLength: undefined });
  return new Promise((resolve, reject) => {
    decompress(compressed, { maxOutputLength: limits.maxBytes }, (error, result) => {
      if (error === null) resolve(align(result, limits.headerLength));
      else if ("code" in error && error.code === "ERR_BUFFER_TOO_LARGE") {
        reject(tooLarge("(decompressed)", limits.maxBytes));
      } else {
        reject(
          new TenonError("REQUEST_INVALID", {
            problem: `the request body is not valid ${encoding} data`,
            cause: error,
          }),
        );
      }
    });
  });
}

function align(bytes: Buffer, headerLength: number | undefined): Buffer {
  if (headerLength === undefined || (bytes.byteOffset + headerLength) % ALIGNMENT === 0) return bytes;
  const aligned = allocate(bytes.length, headerLength);
  bytes.copy(aligned);
  return aligned;
}

/** Bytes to leave free in front of the body, so that what follows the header is aligned. */
function shiftOf(headerLength: number | undefined): number {
  if (headerLength === undefined) return 0;
  return (ALIGNMENT - (headerLength % ALIGNMENT)) % ALIGNMENT;
}

function allocate(length: number, headerLength: number | undefined): Buffer {
  const shift = shiftOf(headerLength);
  return Buffer.allocUnsafeSlow(length + shift).subarray(shift);
}

function readPlain(req: IncomingMessage, limits: BodyLimits): Promise<Buffer> {
  if (req.readableEnded || req.destroyed) {
    if (!hasBody(req)) return Promise.resolve(Buffer.alloc(0));
    return Promise.reject(
      new TenonError("INTERNAL", {
        problem: "the request body was read before it came here",
        do: "mount this handler before middleware that parses bodies",
      }),
    );
  }
  const length = contentLength(req);
  if (length === 0) return Promise.resolve(Buffer.alloc(0));
  if (length !== undefined && length > limits.maxBytes)
    return Promise.reject(tooLarge(length, limits.maxBytes));
  expecting.get(req)?.writeContinue();
  expecting.delete(req);
  return new Promise((resolve, reject) => {
    const reader = length === undefined ? new ChunkedReader(limits) : new CountedReader(length, limits);
    let chunks = 0;
    let settled = false;
    const done = (error: TenonError | undefined): void => {
      settled = true;
      if (error !== undefined) reject(error);
      else resolve(reader.bytes());
    };
    // The listeners stay: what comes after the end of reading is dropped.
    req.on("data", (chunk: Buffer) => {
      if (settled) return;
      // Only chunked bodies are kept in pieces, so only their number can grow.
      if (length === undefined && ++chunks > limits.maxChunks) {
        done(
          new TenonError("REQUEST_TOO_LARGE", {
            problem: `a request body has at most ${limits.maxChunks} chunks`,
          }),
        );
      } else if (!reader.add(chunk)) {
        done(tooLarge("(chunked)", limits.maxBytes));
      } else if (reader.complete) {
        done(undefined);
      }
    });
    if (length === undefined) req.on("end", () => done(undefined));
    req.on("close", () => {
      if (!settled) done(new TenonError("CANCELLED", { problem: "the client closed the request" }));
    });
  });
}

/** Fills one buffer of the announced length; a small body in one piece is taken as it came. */
class CountedReader {
  readonly #length: number;
  readonly #limits: BodyLimits;
  #buffer: Buffer | undefined;
  #filled = 0;

  constructor(length: number, limits: BodyLimits) {
    this.#length = length;
    this.#limits = limits;
  }

  get complete(): boolean {
    return this.#filled === this.#length;
  }

  #allocate(): Buffer {
    const { headerLength, pool } = this.#limits;
    // Pure JSON may move to another thread, and its memory with it.
    if (headerLength === undefined) return Buffer.allocUnsafeSlow(this.#length);
    const shift = shiftOf(headerLength);
    return pool.take(this.#length + shift).subarray(shift);
  }

  /** The parser passes on no more than the announced length. */
  add(chunk: Buffer): boolean {
    if (chunk.length === this.#length && this.#limits.headerLength === undefined) this.#buffer = chunk;
    else {
      this.#buffer ??= this.#allocate();
      chunk.copy(this.#buffer, this.#filled);
    }
    this.#filled += chunk.length;
    return true;
  }

  bytes(): Buffer {
    return this.#buffer ?? Buffer.alloc(0);
  }
}

/** Keeps the chunks of a body of unknown length and joins them at the end. */
class ChunkedReader {
  readonly complete = false;
  readonly #limits: BodyLimits;
  readonly #chunks: Buffer[] = [];
  #length = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  /** False when the body is over its limit now. */
  add(chunk: Buffer): boolean {
    this.#length += chunk.length;
    this.#chunks.push(chunk);
    return this.#length <= this.#limits.maxBytes;
  }

  bytes(): Buffer {
    const bytes = allocate(this.#length, this.#limits.headerLength);
    let at = 0;
    for (const chunk of this.#chunks) at += chunk.copy(bytes, at);
    return bytes;
  }
}

/** The body limit of a request: that of binary bodies when a JSON header length is given, else that of JSON. */
export function bodyLimit(
  settings: Pick<HandlerSettings, "bodyMax" | "jsonBodyMax">,
  binary: boolean,
): number {
  return binary ? settings.bodyMax : settings.jsonBodyMax;
}
