/** Makes the pool's threads, where models run, step back, so that the event loop is served at once (Linux). */
import type { OrtLibrary } from "./ort/library.js";

/** Niceness of model runs: the event loop outweighs them two to one; more would starve them beside other programs. */
const NICENESS = 3;
const PRIO_PROCESS = 0;
/** A waking thread of this policy never preempts a running one: without it, starting a run stops the event loop. */
const SCHED_BATCH = 3;
const SLEEP_US = 1500;
const ROUNDS = 5;

/**
 * Threads are addressed by their ids, which only they know: each is caught once by making it sleep, ask and sleep
 * again. The threads of a pool that an application shares keep their weight. Returns how many were reached;
 * elsewhere than on Linux none.
 */
export async function lowerPoolPriority(
  library: OrtLibrary,
  threads: number,
  dedicated = true,
): Promise<number> {
  if (process.platform !== "linux") return 0;
  try {
    const libc = library.koffi.load("libc.so.6");
    const gettid = libc.func("int gettid()");
    const usleep = libc.func("int usleep(uint microseconds)");
    const setpriority = libc.func("int setpriority(int which, uint who, int niceness)");
    const setscheduler = libc.func("int sched_setscheduler(int thread, int policy, int *priority)");
    const call = (target: typeof gettid, ...values: number[]): Promise<number> =>
      new Promise((resolve, reject) => {
        target.async(...values, (error: Error | null, result: number) =>
          error ? reject(error) : resolve(result),
        );
      });
    const reached = new Set<number>();
    for (let round = 0; round < ROUNDS && reached.size < threads; round++) {
      const sleeping = Array.from({ length: threads }, () => call(usleep, SLEEP_US));
      const asked: Promise<number>[] = [];
      for (let i = 0; i < threads; i++) {
        asked.push(call(gettid));
        sleeping.push(call(usleep, SLEEP_US));
      }
      for (const thread of await Promise.all(asked)) reached.add(thread);
      await Promise.all(sleeping);
    }
    for (const thread of reached) {
      setscheduler(thread, SCHED_BATCH, [0]);
      if (dedicated) setpriority(PRIO_PROCESS, thread, NICENESS);
    }
    return reached.size;
  } catch {
    return 0; // another libc: priorities stay equal
  }
}
