/** Codecs of Parquet pages: each writes the decompressed bytes into memory that the caller sized. */
import * as zlib from "node:zlib";
import { decompress as zstdInScript } from "fzstd";
import { TenonError } from "../../base/index.js";
import type { Codec } from "./footer.js";
import { lz4Decompress } from "./lz4.js";
import { snappyDecompress } from "./snappy.js";
import { invalid } from "./thrift.js";

/** Decompresses `source`, which must give exactly `size` bytes, into `target` at `at`. */
type Decompress = (source: Uint8Array, size: number, target: Uint8Array, at: number) => void;

/** Node has it from 22.15 on; before that a decoder in JavaScript reads zstd. */
const nativeZstd = (zlib as { zstdDecompressSync?: (bytes: Uint8Array, options: zlib.ZlibOptions) => Buffer })
  .zstdDecompressSync;

const CODECS: Readonly<Record<Codec, Decompress | null>> = {
  UNCOMPRESSED: (source, size, target, at) => place(source, size, target, at),
  SNAPPY: (source, size, target, at) =>
    exact(snappyDecompress(source, target.subarray(0, at + size), at), size),
  GZIP: (source, size, target, at) =>
    place(zlib.unzipSync(source, { maxOutputLength: Math.max(1, size) }), size, target, at),
  BROTLI: (source, size, target, at) =>
    place(zlib.brotliDecompressSync(source, { maxOutputLength: Math.max(1, size) }), size, target, at),
  ZSTD: (source, size, target, at) =>
    place(
      nativeZstd === undefined
        ? zstdInScript(source, new Uint8Array(size))
        : nativeZstd(source, { maxOutputLength: Math.max(1, size) }),
      size,
      target,
      at,
    ),
  LZ4_RAW: (source, size, target, at) =>
    exact(lz4Decompress(source, target.subarray(0, at + size), at), size),
  LZ4: null,
  LZO: null,
};

function place(bytes: Uint8Array, size: number, target: Uint8Array, at: number): void {
  exact(bytes.length, size);
  target.set(bytes, at);
}

function exact(given: number, size: number): void {
  if (given !== size)
    throw invalid("a page has another size than its header says", `${given} bytes for ${size}`);
}

/** Throws FILE_INVALID for damaged bytes and for the two codecs that are obsolete. */
export function decompressPage(
  codec: Codec,
  source: Uint8Array,
  size: number,
  target: Uint8Array,
  at: number,
): void {
  const decompress = CODECS[codec];
  if (decompress === null) {
    throw new TenonError("FILE_INVALID", {
      problem: `Parquet's codec ${codec} is obsolete and not read`,
      do: "write the file with snappy, zstd or lz4_raw",
    });
  }
  try {
    decompress(source, size, target, at);
  } catch (cause) {
    if (cause instanceof TenonError) throw cause;
    throw new TenonError("FILE_INVALID", {
      problem: `damaged Parquet file: a ${codec} page cannot be read`,
      cause,
    });
  }
}
