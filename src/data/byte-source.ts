/** Bytes that are read by place: a file of this machine, one behind a URL, or what a compressed one holds. */
import { type FileHandle, open } from "node:fs/promises";
import { TenonError } from "../base/index.js";

/** Bytes that can be read at any place. */
export interface SeekableBytes {
  readonly size: number;
  /** Fills `target` from byte `position` on, and gives the number of bytes: fewer at the end. */
  read(target: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
}

export interface ByteSource extends SeekableBytes {
  /** As messages name it. */
  readonly name: string;
  /** Differs when the content may have changed: the time of change, or the server's own tag. */
  readonly version: string | number;
}

/** A file of this machine. Throws FILE_NOT_FOUND. */
export async function openFile(path: string): Promise<ByteSource> {
  let handle: FileHandle;
  try {
    handle = await open(path);
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", { problem: "a file cannot be read", given: path, cause });
  }
  try {
    const { size, mtimeMs } = await handle.stat();
    return {
      name: path,
      size,
      version: mtimeMs,
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
  } catch (error) {
    await handle.close();
    throw error;
  }
}
