/** Files that are read again when they change, without a restart: keys and certificates. */
import { statSync } from "node:fs";

/** Mounted secrets change by links, which file system events do not tell; looking every so often does. */
const LOOK_EVERY_MS = 500;

/**
 * Calls `changed` after one of the files changed since this call, however soon after it; ends with the returned function.
 * Does not keep the process alive.
 */
export function watchFiles(paths: readonly string[], changed: () => void): () => void {
  let seen = paths.map(stampOf);
  const timer = setInterval(() => {
    const now = paths.map(stampOf);
    if (now.every((stamp, i) => stamp === seen[i])) return;
    seen = now;
    changed();
  }, LOOK_EVERY_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/** What differs when a file does, of what links lead to as well; a file that cannot be looked at has its reason. */
function stampOf(path: string): string {
  try {
    const { ino, size, mtimeNs, ctimeNs } = statSync(path, { bigint: true });
    return `${ino} ${size} ${mtimeNs} ${ctimeNs}`;
  } catch (error) {
    return String((error as NodeJS.ErrnoException).code); // of the file system
  }
}
