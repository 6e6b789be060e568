/** Waiting for others: at most so long, and again after a failure. */
import { setTimeout as sleep } from "node:timers/promises";

const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 2_000;

/** What `work` gives; rejects when that takes longer. The work itself goes on. */
export async function within<T>(milliseconds: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${milliseconds} ms`)), milliseconds);
  });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Waits so long, or until `signal`. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal }).catch(() => undefined);
}

/** What `work` gives at last: it is tried for so long, each time after a longer pause. Rejects with its last error, or one of `unless`. */
export async function retried<T>(
  milliseconds: number,
  work: () => Promise<T>,
  { unless = () => false }: { readonly unless?: (error: unknown) => boolean } = {},
): Promise<T> {
  const end = performance.now() + milliseconds;
  for (let wait = FIRST_PAUSE_MS; ; wait = Math.min(2 * wait, LONGEST_PAUSE_MS))
    try {
      return await work();
    } catch (error) {
      if (unless(error) || performance.now() + wait > end) throw error;
      await sleep(wait);
    }
}
