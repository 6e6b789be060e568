/** Where a model's bytes lie: a buffer, or a file that is read by windows, so that weights stay on disk until used. */
import { type BigIntStats, closeSync, constants, fstatSync, openSync, readSync, realpathSync } from "node:fs";
import { open } from "node:fs/promises";
import { TenonError } from "../base/index.js";
import { invalid } from "./invalid.js";

/** A file as it was when it was checked; it is compared again before every later read. */
export interface FileRef {
  /** Absolute, links resolved. */
  readonly path: string;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly inode: bigint;
}

/** Bytes of a file that have not been read. */
export interface FileRange {
  readonly file: FileRef;
  readonly offset: number;
  readonly length: number;
}

/** Bytes in memory, or the place where they lie. */
export type Chunk = Uint8Array | FileRange;

export function chunkLength(chunk: Chunk): number {
  return chunk instanceof Uint8Array ? chunk.byteLength : chunk.length;
}

/** Random access to the bytes of a model. */
export interface Source {
  readonly size: number;
  /** Bytes [offset, offset + length): a view that is valid until the next call. */
  bytes(offset: number, length: number): Uint8Array;
  /** The same for bytes that are kept: large ones stay where they are. */
  keep(offset: number, length: number): Chunk;
  /** How much `bytes` may fetch at once without cost: a reader asks for windows of this size. */
  readonly window: number;
}

/** A model in memory: everything is a view, and the buffer must not change while the model is used. */
export class BytesSource implements Source {
  readonly size: number;
  readonly window: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.size = bytes.byteLength;
    this.window = bytes.byteLength;
  }

  bytes(offset: number, length: number): Uint8Array {
    return this.#bytes.subarray(offset, offset + length);
  }

  keep(offset: number, length: number): Uint8Array {
    return this.bytes(offset, length);
  }
}

/** Payloads below this size are read at once; a range object would cost more. */
const LAZY_FROM = 1024;

/** A model file, read in windows of 256 KiB. Opens the file once; `close` it after reading. */
export class FileSource implements Source {
  readonly size: number;
  readonly window = 256 * 1024;
  readonly file: FileRef;
  /** Bytes read so far. */
  bytesRead = 0;
  readonly #descriptor: number;

  constructor(path: string) {
    const { descriptor, file } = openChecked(path);
    this.#descriptor = descriptor;
    this.file = file;
    this.size = file.size;
  }

  bytes(offset: number, length: number): Uint8Array {
    const target = Buffer.allocUnsafeSlow(length);
    readFully(this.#descriptor, target, offset);
    this.bytesRead += length;
    return target;
  }

  keep(offset: number, length: number): Chunk {
    return length < LAZY_FROM ? this.bytes(offset, length) : { file: this.file, offset, length };
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Opens a regular file (`path` must have its links resolved) and notes its identity. */
export function openChecked(path: string): { descriptor: number; file: FileRef; links: number } {
  let descriptor: number;
  try {
    // O_NONBLOCK: opening a fifo must not wait for a writer. O_NOFOLLOW: no swap for a link in between.
    descriptor = openSync(
      path,
      constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0),
    );
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", { problem: "the file cannot be opened", given: path, cause });
  }
  const stat = fstatSync(descriptor, { bigint: true });
  if (!stat.isFile()) {
    closeSync(descriptor);
    throw new TenonError("FILE_NOT_FOUND", { given: path, expected: "a regular file" });
  }
  const file = { path, size: Number(stat.size), mtimeNs: stat.mtimeNs, inode: stat.ino };
  return { descriptor, file, links: Number(stat.nlink) };
}

/** The bytes of a range; throws FILE_INVALID when the file is no longer the one that was checked. */
export function readRange(range: FileRange): Uint8Array {
  const { descriptor } = openChecked(range.file.path);
  try {
    refuseChanged(range.file, fstatSync(descriptor, { bigint: true }));
    const target = new Uint8Array(range.length);
    readFully(descriptor, target, range.offset);
    return target;
  } finally {
    closeSync(descriptor);
  }
}

/** Streamed ranges are read in pieces of this size. */
const STREAM_PIECE = 4 * 1024 * 1024;

/** The bytes of a chunk in bounded pieces; each is valid until the next one. Throws as `readRange` does. */
export async function* piecesOf(chunk: Chunk): AsyncGenerator<Uint8Array> {
  if (chunk instanceof Uint8Array) {
    yield chunk;
    return;
  }
  const handle = await open(chunk.file.path, constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0));
  try {
    refuseChanged(chunk.file, await handle.stat({ bigint: true }));
    const piece = Buffer.allocUnsafeSlow(Math.min(STREAM_PIECE, chunk.length));
    for (let done = 0; done < chunk.length; ) {
      const wanted = Math.min(piece.length, chunk.length - done);
      const { bytesRead } = await handle.read(piece, 0, wanted, chunk.offset + done);
      if (bytesRead === 0) throw invalid("the file ended while it was read", { do: "read the model again" });
      done += bytesRead;
      yield piece.subarray(0, bytesRead);
    }
  } finally {
    await handle.close();
  }
}

function refuseChanged(file: FileRef, now: BigIntStats): void {
  if (Number(now.size) === file.size && now.mtimeNs === file.mtimeNs && now.ino === file.inode) return;
  throw new TenonError("FILE_INVALID", {
    problem: "the file changed after the model was read",
    given: file.path,
    do: "read the model again",
  });
}

function readFully(descriptor: number, target: Uint8Array, offset: number): void {
  for (let done = 0; done < target.byteLength; ) {
    const count = readSync(descriptor, target, done, target.byteLength - done, offset + done);
    if (count === 0) throw invalid("the file ended while it was read", { do: "read the model again" });
    done += count;
  }
}

/** The absolute path with links resolved; throws FILE_NOT_FOUND. */
export function resolvePath(path: string): string {
  try {
    return realpathSync(path);
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", {
      given: path,
      expected: "a file that exists and can be read",
      cause,
    });
  }
}
