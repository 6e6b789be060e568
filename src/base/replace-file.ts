/** replaceFile: a file that appears complete or not at all. */
import { open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";

/**
 * Writes the pieces under a temporary name beside `path`, syncs, and renames over it; a failure leaves what was there.
 * Pieces are consumed one by one, so they may share a buffer.
 */
export async function replaceFile(
  path: string,
  pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
): Promise<void> {
  const temporary = `${path}.${process.pid}.${performance.now().toString(36).replace(".", "")}.tmp`;
  try {
    const handle = await open(temporary, "wx");
    try {
      for await (const piece of pieces) await handle.writeFile(piece);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncFolder(dirname(path));
}

/** Makes the rename durable; folders cannot be synced everywhere (Windows), where that is not needed either. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
