/** Compressed files as streams: which endings mean which compression, and what comes out, within limits. */
import { Readable, type Transform } from "node:stream";
import { pipeline } from "node:stream/promises";
import * as zlib from "node:zlib";
import { Decompress as ZstdInScript } from "fzstd";
import { TenonError } from "../base/index.js";
import type { Put } from "./spooled-bytes.js";

export type Compression = "gzip" | "zstd";

const SUFFIXES: readonly [RegExp, Compression][] = [
  [/\.gz$/i, "gzip"],
  [/\.zstd?$/i, "zstd"],
];

/** Told by the ending of the path; undefined: none. */
export function compressionOf(path: string): Compression | undefined {
  return SUFFIXES.find(([pattern]) => pattern.test(path))?.[1];
}

/** What a compressed file may hold: this much, or so many times what was read of it, whichever is more. */
const FREE_BYTES = 2 ** 30;
const MOST_RATIO = 200;
const CHUNK = 2 ** 18;

/**
 * Gives the content of compressed `chunks` to `put`. Throws FILE_INVALID for damaged ones, and for those that hold more than 200
 * times their size and 1 GiB.
 */
export async function decompress(
  name: string,
  chunks: AsyncIterable<Uint8Array>,
  compression: Compression,
  put: Put,
): Promise<void> {
  let read = 0;
  let size = 0;
  // Streams may tell of their own end in its place.
  let refused: unknown;
  async function* counted(): AsyncGenerator<Uint8Array, void> {
    for await (const chunk of chunks) {
      read += chunk.length;
      yield chunk;
    }
  }
  try {
    await DECOMPRESS[compression](counted(), (bytes) => {
      if (refused !== undefined) return;
      size += bytes.length;
      try {
        checkRatio(name, size, read);
        put(bytes);
      } catch (error) {
        refused = error;
        throw error;
      }
    });
  } catch (cause) {
    if (refused !== undefined) throw refused;
    if (cause instanceof TenonError) throw cause;
    throw new TenonError("FILE_INVALID", { problem: `a ${compression} file is damaged`, given: name, cause });
  }
}

function checkRatio(name: string, size: number, read: number): void {
  const most = Math.max(FREE_BYTES, MOST_RATIO * read);
  if (size <= most) return;
  throw new TenonError("FILE_INVALID", {
    problem: "a compressed file holds far more than its size",
    given: name,
    expected: `at most ${most} bytes for ${read} compressed ones`,
    do: "decompress it first if it is to be trusted",
  });
}

async function throughStream(
  transform: Transform,
  chunks: AsyncIterable<Uint8Array>,
  put: Put,
): Promise<void> {
  await pipeline(Readable.from(chunks), transform, async (decompressed) => {
    for await (const bytes of decompressed) put(bytes as Uint8Array); // a binary stream
  });
}

/** Node has it from 22.15 on. */
const nativeZstd = (zlib as { createZstdDecompress?: () => Transform }).createZstdDecompress;

const DECOMPRESS: Readonly<
  Record<Compression, (chunks: AsyncIterable<Uint8Array>, put: Put) => Promise<void>>
> = {
  gzip: (chunks, put) => throughStream(zlib.createGunzip({ chunkSize: CHUNK }), chunks, put),
  async zstd(chunks, put) {
    if (nativeZstd !== undefined) return throughStream(nativeZstd(), chunks, put);
    let ended = false;
    const stream = new ZstdInScript((bytes, final) => {
      put(bytes);
      ended = final === true;
    });
    for await (const bytes of chunks) stream.push(bytes);
    stream.push(new Uint8Array(0), true);
    if (!ended) throw new Error("the last frame is cut off");
  },
};
