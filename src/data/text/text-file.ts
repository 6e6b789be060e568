/** A text file as seekable bytes: the file itself, or what a compressed one holds, spooled to a file without a name. */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as zlib from "node:zlib";
import { Decompress as ZstdInScript } from "fzstd";
import { TenonError } from "../../base/index.js";

/** Bytes that can be read at any place. */
export interface TextBytes {
  readonly size: number;
  /** Fills `target` from byte `position` on; fewer bytes at the end of the file. */
  read(target: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

type Compression = "gzip" | "zstd";

const SUFFIXES: readonly [RegExp, Compression][] = [
  [/\.gz$/i, "gzip"],
  [/\.zstd?$/i, "zstd"],
];

/** Told by the ending of the path; undefined: none. */
export function compressionOf(path: string): Compression | undefined {
  return SUFFIXES.find(([pattern]) => pattern.test(path))?.[1];
}

/** Opens a file that is not compressed. Throws FILE_NOT_FOUND. */
export async function openPlain(path: string): Promise<TextBytes> {
  const handle = await opened(path);
  const { size } = await handle.stat();
  return {
    size,
    async read(target, position) {
      let done = 0;
      while (done < target.length) {
        const { bytesRead } = await handle.read(target, done, target.length - done, position + done);
        if (bytesRead === 0) break;
        done += bytesRead;
      }
      return done;
    },
    close: () => handle.close(),
  };
}

async function opened(path: string): Promise<FileHandle> {
  try {
    return await open(path);
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", { problem: "a file cannot be read", given: path, cause });
  }
}

/** What a compressed file may hold: this much, or so many times its own size, whichever is more. */
const SPOOL_FREE = 2 ** 30;
const SPOOL_RATIO = 200;
const CHUNK = 2 ** 18;

/**
 * Decompresses into a file of the temporary folder that has no name any more, so that it goes with the last who has it
 * open. Throws FILE_INVALID for damaged files, and for those that hold more than 200 times their size and 1 GiB.
 */
export async function openCompressed(path: string, compression: Compression): Promise<TextBytes> {
  const handle = await opened(path);
  const spool = temporaryFile();
  try {
    const { size: packed } = await handle.stat();
    const most = Math.max(SPOOL_FREE, SPOOL_RATIO * packed);
    let size = 0;
    const put = (bytes: Uint8Array): void => {
      if (size + bytes.length > most)
        throw new TenonError("FILE_INVALID", {
          problem: "a compressed file holds far more than its size",
          given: path,
          expected: `at most ${most} bytes for ${packed} compressed ones`,
          do: "decompress it first if it is to be trusted",
        });
      for (let done = 0; done < bytes.length; )
        done += writeSync(spool, bytes, done, bytes.length - done, size + done);
      size += bytes.length;
    };
    try {
      await DECOMPRESS[compression](handle, put);
    } catch (cause) {
      if (cause instanceof TenonError) throw cause;
      throw new TenonError("FILE_INVALID", {
        problem: `a ${compression} file is damaged, or the temporary folder is full`,
        given: path,
        cause,
      });
    }
    return {
      size,
      async read(target, position) {
        return readSync(spool, target, 0, target.length, position);
      },
      async close() {
        closeSync(spool);
      },
    };
  } catch (error) {
    closeSync(spool);
    throw error;
  } finally {
    await handle.close();
  }
}

function temporaryFile(): number {
  const path = join(tmpdir(), `tenon-text-${process.pid}-${randomBytes(6).toString("hex")}`);
  const fd = openSync(path, "wx+", 0o600);
  unlinkSync(path);
  return fd;
}

async function* chunksOf(handle: FileHandle): AsyncGenerator<Uint8Array, void> {
  for (let position = 0; ; ) {
    const bytes = new Uint8Array(CHUNK);
    const { bytesRead } = await handle.read(bytes, 0, CHUNK, position);
    if (bytesRead === 0) return;
    position += bytesRead;
    yield bytes.subarray(0, bytesRead);
  }
}

type Put = (bytes: Uint8Array) => void;

async function throughStream(transform: Transform, handle: FileHandle, put: Put): Promise<void> {
  await pipeline(Readable.from(chunksOf(handle)), transform, async (decompressed) => {
    for await (const bytes of decompressed) put(bytes as Uint8Array); // a binary stream
  });
}

/** Node has it from 22.15 on. */
const nativeZstd = (zlib as { createZstdDecompress?: () => Transform }).createZstdDecompress;

const DECOMPRESS: Readonly<Record<Compression, (handle: FileHandle, put: Put) => Promise<void>>> = {
  gzip: (handle, put) => throughStream(zlib.createGunzip({ chunkSize: CHUNK }), handle, put),
  async zstd(handle, put) {
    if (nativeZstd !== undefined) return throughStream(nativeZstd(), handle, put);
    let ended = false;
    const stream = new ZstdInScript((bytes, final) => {
      put(bytes);
      ended = final === true;
    });
    for await (const bytes of chunksOf(handle)) stream.push(bytes);
    stream.push(new Uint8Array(0), true);
    if (!ended) throw new Error("the last frame is cut off");
  },
};
