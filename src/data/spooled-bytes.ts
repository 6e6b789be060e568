/** Bytes that come once, such as those behind a URL or of a compressed file, in a file of the temporary folder. */
import { randomBytes } from "node:crypto";
import { closeSync, openSync, readSync, unlinkSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { TenonError } from "../base/index.js";
import type { SeekableBytes } from "./byte-source.js";

export type Put = (bytes: Uint8Array) => void;

/** How long bytes are kept after their last use, in milliseconds: a table that is planned is read soon after. */
const LINGER_MS = 30_000;

/** A file that has no name any more, so that it goes with the last who has it open. */
class NamelessFile {
  readonly #fd: number;
  size = 0;

  constructor() {
    const path = join(tmpdir(), `tenon-bytes-${process.pid}-${randomBytes(6).toString("hex")}`);
    try {
      this.#fd = openSync(path, "wx+", 0o600);
      unlinkSync(path);
    } catch (cause) {
      throw noRoom(cause);
    }
  }

  put(bytes: Uint8Array): void {
    try {
      for (let done = 0; done < bytes.length; )
        done += writeSync(this.#fd, bytes, done, bytes.length - done, this.size + done);
    } catch (cause) {
      throw noRoom(cause);
    }
    this.size += bytes.length;
  }

  read(target: Uint8Array, position: number): number {
    return readSync(this.#fd, target, 0, target.length, position);
  }

  close(): void {
    closeSync(this.#fd);
  }
}

function noRoom(cause: unknown): TenonError {
  return new TenonError("USAGE", {
    problem: "the temporary folder cannot hold a table",
    given: `${tmpdir()}: ${(cause as Error).message}`,
    do: "set TMPDIR to a folder with more room",
    cause,
  });
}

interface Kept {
  readonly made: Promise<NamelessFile>;
  users: number;
  timer: NodeJS.Timeout | undefined;
}

const kept = new Map<string, Kept>();

/** What `write` puts; made once for all who ask with the same key while it is in use, and shortly after. */
export async function spooled(key: string, write: (put: Put) => Promise<void>): Promise<SeekableBytes> {
  const entry = kept.get(key) ?? { made: made(write), users: 0, timer: undefined };
  kept.set(key, entry);
  clearTimeout(entry.timer);
  entry.users++;
  const leave = (): void => {
    entry.users--;
    if (entry.users > 0) return;
    entry.timer = setTimeout(() => {
      if (kept.get(key) === entry) kept.delete(key);
      entry.made.then((file) => file.close()).catch(() => undefined);
    }, LINGER_MS).unref();
  };
  let file: NamelessFile;
  try {
    file = await entry.made;
  } catch (error) {
    if (kept.get(key) === entry) kept.delete(key);
    throw error;
  }
  let open = true;
  return {
    size: file.size,
    read: (target, position) => Promise.resolve(file.read(target, position)),
    close() {
      if (open) leave();
      open = false;
      return Promise.resolve();
    },
  };
}

async function made(write: (put: Put) => Promise<void>): Promise<NamelessFile> {
  const file = new NamelessFile();
  try {
    await write((bytes) => file.put(bytes));
    return file;
  } catch (error) {
    file.close();
    throw error;
  }
}
