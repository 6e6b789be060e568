/** Files that are read at any place, as often as it takes: those of this machine, and what URLs and compressed files hold. */
import { createHash, randomBytes } from "node:crypto";
import { stat } from "node:fs/promises";
import { TenonError } from "../base/index.js";
import { openFile, type SeekableBytes } from "./byte-source.js";
import { compressionOf, decompress } from "./compression.js";
import { isUrl } from "./glob.js";
import type { RemoteOptions } from "./remote/locate.js";
import { spooled } from "./spooled-bytes.js";

export interface WholeFile {
  /** As messages name it. */
  readonly name: string;
  /** Bytes where it lies: compressed, if it is. */
  readonly size: number;
  /** Time of its last change, in milliseconds, or the server's own tag. */
  readonly version: string | number;
  /** Differs when the content may have changed; for what is remembered in this process. */
  readonly key: string;
  readonly bytes: SeekableBytes;
}

/**
 * Opens a file or a URL; what is compressed by its ending is decompressed where `compressed` says so. What is no plain file is
 * spooled once. Throws FILE_NOT_FOUND, FILE_INVALID, USAGE.
 */
export function openWhole(
  path: string,
  compressed: boolean,
  remote: RemoteOptions | undefined,
): Promise<WholeFile> {
  return isUrl(path) ? openUrl(path, compressed, remote) : openLocal(path, compressed);
}

async function openLocal(path: string, compressed: boolean): Promise<WholeFile> {
  const { mtimeNs, ctimeNs, size, ino } = await stat(path, { bigint: true }).catch((cause: unknown) => {
    throw new TenonError("FILE_NOT_FOUND", { problem: "a file cannot be read", given: path, cause });
  });
  const compression = compressed ? compressionOf(path) : undefined;
  const key = `${path} ${mtimeNs} ${ctimeNs} ${size} ${ino}`;
  return {
    name: path,
    size: Number(size),
    version: Number(mtimeNs) / 1e6,
    key,
    bytes:
      compression === undefined
        ? await openFile(path)
        : await spooled(key, async (put) => {
            const packed = await openFile(path);
            try {
              await decompress(path, chunksOf(packed), compression, put);
            } finally {
              await packed.close();
            }
          }),
  };
}

async function openUrl(
  url: string,
  compressed: boolean,
  remote: RemoteOptions | undefined,
): Promise<WholeFile> {
  const { download } = await import("./remote/download.js");
  await using found = await download(url, remote);
  const { name, version } = found;
  const compression = compressed ? compressionOf(name) : undefined;
  // A server that names no version is asked each time.
  const content = version === "" ? randomBytes(16).toString("hex") : `${version} ${found.size}`;
  const key = createHash("sha256").update(`${url} ${content}`).digest("hex");
  const bytes = await spooled(key, async (put) => {
    if (compression !== undefined) return decompress(name, found.chunks, compression, put);
    for await (const chunk of found.chunks) put(chunk);
  });
  return { name, size: found.size ?? bytes.size, version, key, bytes };
}

const CHUNK = 2 ** 18;

async function* chunksOf(bytes: SeekableBytes): AsyncGenerator<Uint8Array, void> {
  for (let position = 0; ; ) {
    const chunk = new Uint8Array(CHUNK);
    const read = await bytes.read(chunk, position);
    if (read === 0) return;
    position += read;
    yield chunk.subarray(0, read);
  }
}

/** sha256 of a file as it lies, or of what is behind a URL, hex. Throws FILE_NOT_FOUND, USAGE. */
export async function sha256OfFile(path: string, remote?: RemoteOptions): Promise<string> {
  const hash = createHash("sha256");
  if (isUrl(path)) {
    const { download } = await import("./remote/download.js");
    await using found = await download(path, remote);
    for await (const chunk of found.chunks) hash.update(chunk);
  } else {
    const file = await openFile(path);
    try {
      for await (const chunk of chunksOf(file)) hash.update(chunk);
    } finally {
      await file.close();
    }
  }
  return hash.digest("hex");
}
