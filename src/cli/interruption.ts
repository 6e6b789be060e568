/** SIGINT and SIGTERM as a signal that work can be given, and the error it ends with. */
import { TenonError } from "../base/index.js";

/** Runs `work`; when a signal ends it, INTERRUPTED with `advice` takes the place of what it threw. */
export async function interruptible<T>(
  advice: string,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const interrupted = new AbortController();
  const stop = (): void => interrupted.abort();
  process.once("SIGINT", stop);
  process.once("SIGTERM", stop);
  try {
    return await work(interrupted.signal);
  } catch (cause) {
    if (!interrupted.signal.aborted) throw cause;
    throw new TenonError("INTERRUPTED", {
      problem: "stopped; the parts that are there stay",
      do: advice,
      cause,
    });
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}
