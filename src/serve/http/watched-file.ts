/** Files that are read again when they change, without a restart: keys and certificates. */
import { unwatchFile, watchFile } from "node:fs";

/** Mounted secrets change by links, which file system events do not tell; looking every so often does. */
const LOOK_EVERY_MS = 500;

/** Calls `changed` after one of the files changed; ends with the returned function. Does not keep the process alive. */
export function watchFiles(paths: readonly string[], changed: () => void): () => void {
  // `watchFile` tells a difference in any time or size, of what links lead to as well.
  for (const path of paths) watchFile(path, { interval: LOOK_EVERY_MS, persistent: false }, changed);
  return () => {
    for (const path of paths) unwatchFile(path, changed);
  };
}
