/** Bytes that are read by place: a file of this machine, or one behind a URL. */
import { type FileHandle, open } from "node:fs/promises";
import { TenonError } from "../../base/index.js";

export interface ByteSource {
  /** As messages name it. */
  readonly name: string;
  readonly size: number;
  /** Differs when the content may have changed: the time of change, or the server's own tag. */
  readonly version: string | number;
  /** Reads at least one byte into `target` from `position` on, and gives their number; 0 at the end. */
  read(target: Uint8Array, position: number): Promise<number>;
  close(): Promise<void>;
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
      read: async (target, position) => (await handle.read(target, 0, target.length, position)).bytesRead,
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}
