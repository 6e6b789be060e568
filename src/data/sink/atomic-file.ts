/** A file that appears under its name whole or not at all: written beside it, synced to disk, then renamed. */
import { createHash, randomBytes } from "node:crypto";
import { readFileSync, readlinkSync } from "node:fs";
import { type FileHandle, open, readdir, rename, stat, unlink } from "node:fs/promises";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { makeFolder, TenonError } from "../../base/index.js";

/** Small writes are collected up to this size. */
const BUFFER_BYTES = 2 ** 18;

export class AtomicFile {
  readonly path: string;
  readonly #temporary: string;
  readonly #handle: FileHandle;
  #hash = createHash("sha256");
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #size = 0;
  #state: "open" | "committed" | "failed" = "open";

  private constructor(path: string, temporary: string, handle: FileHandle) {
    this.path = path;
    this.#temporary = temporary;
    this.#handle = handle;
  }

  /** Starts writing; makes the folder where there is none. */
  static async create(path: string): Promise<AtomicFile> {
    const folder = dirname(path);
    const temporary = join(folder, temporaryName(basename(path)));
    try {
      await makeFolder(folder);
      return new AtomicFile(path, temporary, await open(temporary, "wx+", 0o644));
    } catch (cause) {
      throw new TenonError("USAGE", {
        problem: "an output file cannot be written",
        given: path,
        expected: "a folder that may be written to",
        cause,
      });
    }
  }

  /** Bytes written so far. */
  get size(): number {
    return this.#size;
  }

  /** Appends; `bytes` must not change until the next call has returned. */
  async write(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    this.#size += bytes.length;
    this.#pending.push(bytes);
    this.#pendingBytes += bytes.length;
    if (this.#pendingBytes >= BUFFER_BYTES) await this.#flush();
  }

  async #flush(): Promise<void> {
    const parts = this.#pending;
    this.#pending = [];
    this.#pendingBytes = 0;
    for (const part of parts) this.#hash.update(part);
    try {
      for (let left = parts; left.length > 0; ) {
        const { bytesWritten } = await this.#handle.writev(left.slice(0, 512));
        left = rest(left, bytesWritten);
      }
    } catch (cause) {
      this.#state = "failed";
      throw failed(this.path, cause);
    }
  }

  /** Writes `bytes` over the first ones of what was written. The hash is taken anew, by reading the file once. */
  async replaceStart(bytes: Uint8Array): Promise<void> {
    this.#assertOpen();
    if (this.#pending.length > 0) await this.#flush();
    try {
      await this.#handle.write(bytes, 0, bytes.length, 0);
      this.#hash = createHash("sha256");
      const chunk = new Uint8Array(2 ** 20);
      for (let position = 0; position < this.#size; ) {
        const { bytesRead } = await this.#handle.read(chunk, 0, chunk.length, position);
        if (bytesRead === 0) throw new Error("the file became shorter");
        this.#hash.update(chunk.subarray(0, bytesRead));
        position += bytesRead;
      }
    } catch (cause) {
      this.#state = "failed";
      throw failed(this.path, cause);
    }
  }

  /** Syncs, renames and syncs the folder; gives the sha256 of the content. An error is final: nothing is tried again. */
  async commit(): Promise<{ readonly bytes: number; readonly sha256: string }> {
    this.#assertOpen();
    if (this.#pending.length > 0) await this.#flush();
    this.#state = "failed";
    try {
      await this.#handle.sync();
      await this.#handle.close();
      await rename(this.#temporary, this.path);
      await syncFolder(dirname(this.path));
    } catch (cause) {
      await this.#discard();
      throw failed(this.path, cause);
    }
    this.#state = "committed";
    return { bytes: this.#size, sha256: this.#hash.digest("hex") };
  }

  /** Drops what was written; does nothing after a commit. */
  async abort(): Promise<void> {
    if (this.#state === "committed") return;
    this.#state = "failed";
    await this.#discard();
  }

  async #discard(): Promise<void> {
    await this.#handle.close().catch(() => undefined);
    await unlink(this.#temporary).catch(() => undefined);
  }

  #assertOpen(): void {
    if (this.#state === "open") return;
    throw new TenonError("USAGE", {
      problem: `the output file was ${this.#state === "failed" ? "given up" : "committed"}`,
      given: this.path,
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.abort();
  }
}

function rest(parts: readonly Uint8Array[], written: number): Uint8Array[] {
  let i = 0;
  while (i < parts.length && written >= parts[i]!.length) written -= parts[i++]!.length;
  const left = parts.slice(i);
  if (left.length > 0 && written > 0) left[0] = left[0]!.subarray(written);
  return left;
}

function failed(path: string, cause: unknown): TenonError {
  return new TenonError("INTERNAL", {
    problem: "an output file could not be written",
    given: path,
    do: "check the disk and start again",
    cause,
  });
}

async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return; // folders cannot be synced there
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Tells this machine, boot and process space from others: a pid means nothing elsewhere. 8 hex digits. */
export function hostKey(): string {
  return (known ??= createHash("sha256")
    .update(`${hostname()} ${bootId()} ${pidNamespace()}`)
    .digest("hex")
    .slice(0, 8));
}

let known: string | undefined;

function bootId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return ""; // not Linux: the host name alone
  }
}

function pidNamespace(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

/** A name beside `name` that `sweepTemporaries` knows. */
export function temporaryName(name: string): string {
  return `.tmp-${name}-${hostKey()}-${process.pid}-${randomBytes(4).toString("hex")}`;
}

const TEMPORARY = /^\.tmp-.+-([0-9a-f]{8})-([0-9]+)-[0-9a-f]{8}$/;
const OLD_MS = 24 * 3600e3;

/** Removes temporary files that nobody writes any more: of a dead process of this host, or a day old. */
export async function sweepTemporaries(folder: string): Promise<number> {
  let removed = 0;
  for (const name of await readdir(folder).catch(() => [])) {
    const match = TEMPORARY.exec(name);
    if (match === null) continue;
    const path = join(folder, name);
    const dead = match[1] === hostKey() ? !alive(Number(match[2])) : false;
    const changed = await stat(path).catch(() => undefined);
    if (changed === undefined || !(dead || Date.now() - changed.mtimeMs > OLD_MS)) continue;
    await unlink(path).catch(() => undefined);
    removed++;
  }
  return removed;
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
