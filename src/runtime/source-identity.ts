/** What a model file is, by content: sha256, remembered by path, size, time and inode so that a warm load hashes nothing. */
import { createHash } from "node:crypto";
import { type FileHandle, mkdir, open, readFile, realpath, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { TenonError } from "../base/index.js";

/** Large enough to be fast, small enough to hash within 5 ms on the event loop. */
const CHUNK = 2 << 20;
/** Hashed within 20 ms. */
const QUICK_BYTES = 8 << 20;

interface FileStamp {
  readonly path: string;
  readonly size: number;
  readonly mtimeNs: string;
  readonly inode: string;
}

/**
 * sha256 over a model's bytes and the external data files it names, whose hashes are remembered as `identify` does.
 * Throws MODEL_INVALID when there are no bytes.
 */
export async function identifyBytes(
  bytes: Uint8Array,
  externalFiles: readonly string[],
  memoFolder: string | undefined,
): Promise<Identified> {
  return (await sumOf(bytes, externalFiles, (file) => identify(file, async () => [], memoFolder)))!;
}

/** What `identifyBytes` gives, where no file and no more than a few MB of `bytes` have to be hashed for it. */
export async function recallBytes(
  bytes: Uint8Array,
  externalFiles: readonly string[],
  memoFolder: string | undefined,
): Promise<Identified | undefined> {
  if (bytes.byteLength > QUICK_BYTES) return undefined;
  return sumOf(bytes, externalFiles, (file) => recallIdentity(file, memoFolder));
}

/** Undefined as soon as a file's hash is. */
async function sumOf(
  bytes: Uint8Array,
  externalFiles: readonly string[],
  identityOf: (file: string) => Promise<Identified | undefined>,
): Promise<Identified | undefined> {
  if (bytes.byteLength === 0) {
    throw new TenonError("MODEL_INVALID", {
      problem: "the model has no bytes",
      expected: "the bytes of an ONNX file",
    });
  }
  const own = await hashBytes(bytes);
  if (externalFiles.length === 0) return { sha256: own, bytes: bytes.byteLength };
  const hash = createHash("sha256").update(own);
  let size = bytes.byteLength;
  for (const file of externalFiles) {
    const known = await identityOf(file);
    if (known === undefined) return undefined;
    hash.update(known.sha256);
    size += known.bytes;
  }
  return { sha256: hash.digest("hex"), bytes: size };
}

/** In slices, so that the event loop goes on. */
async function hashBytes(bytes: Uint8Array): Promise<string> {
  const hash = createHash("sha256");
  for (let at = 0; at < bytes.length; at += CHUNK) {
    hash.update(bytes.subarray(at, at + CHUNK));
    if (at + CHUNK < bytes.length) await new Promise<void>((resolve) => setImmediate(resolve));
  }
  return hash.digest("hex");
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  const file = await open(path, "r");
  try {
    await feed(file, (chunk) => void hash.update(chunk));
  } finally {
    await file.close();
  }
  return hash.digest("hex");
}

async function feed(file: FileHandle, take: (chunk: Uint8Array) => void): Promise<void> {
  const buffer = new Uint8Array(CHUNK);
  for (;;) {
    const { bytesRead } = await file.read(buffer, 0, CHUNK, null);
    if (bytesRead === 0) return;
    take(buffer.subarray(0, bytesRead));
  }
}

async function stampOf(path: string): Promise<FileStamp> {
  const info = await stat(path, { bigint: true });
  if (!info.isFile())
    throw new TenonError("FILE_INVALID", { problem: "a model must be a regular file", given: path });
  return { path, size: Number(info.size), mtimeNs: String(info.mtimeNs), inode: `${info.dev}:${info.ino}` };
}

interface Remembered {
  readonly stamps: readonly FileStamp[];
  readonly sha256: string;
}

/** Identity of a model and the external data files it names. */
interface Identified {
  readonly sha256: string;
  readonly bytes: number;
}

/**
 * sha256 over the model file and its external data. `externalFiles` is asked only when the files changed since the
 * last time. Throws FILE_NOT_FOUND or FILE_INVALID.
 */
export async function identify(
  path: string,
  externalFiles: () => Promise<readonly string[]>,
  memoFolder: string | undefined,
): Promise<Identified> {
  let real: string;
  let stamp: FileStamp;
  try {
    real = await realpath(path);
    stamp = await stampOf(real);
  } catch (cause) {
    if (cause instanceof TenonError) throw cause;
    throw new TenonError("FILE_NOT_FOUND", {
      problem: "the model file cannot be read",
      given: path,
      do: "check the path and its permissions",
      cause,
    });
  }
  if (stamp.size === 0)
    throw new TenonError("MODEL_INVALID", {
      problem: "the model file is empty",
      given: path,
      expected: "an ONNX file",
    });

  const known = await recallIdentity(real, memoFolder);
  if (known !== undefined) return known;

  const files = [real, ...(await externalFiles())];
  const stamps = await Promise.all(files.map(stampOf));
  const hash = createHash("sha256");
  for (const file of files) hash.update(await hashFile(file));
  const sha256 = hash.digest("hex");
  const after = await Promise.all(files.map(stampOf));
  if (JSON.stringify(after) !== JSON.stringify(stamps)) {
    throw new TenonError("FILE_INVALID", {
      problem: "the model changed while it was read",
      given: path,
      do: "load it again when the copy is complete",
    });
  }
  if (memoFolder !== undefined) await remember(memoOf(real, memoFolder), { stamps, sha256 });
  return { bytes: total(stamps), sha256 };
}

/** What `identify` gives, where it is remembered; nothing is hashed. */
export async function recallIdentity(
  path: string,
  memoFolder: string | undefined,
): Promise<Identified | undefined> {
  if (memoFolder === undefined) return undefined;
  const real = await realpath(path).catch(() => path);
  const remembered = await recall(memoOf(real, memoFolder));
  if (remembered?.stamps[0]?.path !== real || !(await unchanged(remembered))) return undefined;
  return { bytes: total(remembered.stamps), sha256: remembered.sha256 };
}

function memoOf(path: string, memoFolder: string): string {
  return join(memoFolder, `${createHash("sha256").update(path).digest("hex").slice(0, 32)}.json`);
}

function total(stamps: readonly FileStamp[]): number {
  return stamps.reduce((sum, stamp) => sum + stamp.size, 0);
}

async function recall(memo: string): Promise<Remembered | undefined> {
  try {
    return JSON.parse(await readFile(memo, "utf8")) as Remembered;
  } catch {
    return undefined; // absent or damaged: hashed again
  }
}

async function unchanged(remembered: Remembered): Promise<boolean> {
  try {
    const now = await Promise.all(remembered.stamps.map((stamp) => stampOf(stamp.path)));
    return JSON.stringify(now) === JSON.stringify(remembered.stamps);
  } catch {
    return false;
  }
}

/** A memo only saves time: a folder that cannot be written is no error. */
async function remember(memo: string, remembered: Remembered): Promise<void> {
  const temporary = `${memo}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  try {
    await mkdir(join(memo, ".."), { recursive: true, mode: 0o700 });
    await writeFile(temporary, JSON.stringify(remembered), { mode: 0o600 });
    await rename(temporary, memo);
  } catch {
    return;
  }
}
