/** Load inside one process: closed loops of clients, each of which waits for its answer before it asks again. */
import type { Sample } from "./side.js";
import { Durations } from "./statistics.js";

/** Calls `run` back to back for `seconds`; gives the items and their latencies. */
export function syncLoop(seconds: number, run: () => void): Sample {
  const durations = new Durations();
  const start = performance.now();
  const end = start + seconds * 1000;
  let now = start;
  while (now < end) {
    run();
    const done = performance.now();
    durations.add(done - now);
    now = done;
  }
  return { items: durations.count, wallMs: now - start, ...durations.summary() };
}

/** `clients` callers that each await `run` again and again for `seconds`; `run` gets the caller's number. */
export async function closedLoop(
  seconds: number,
  clients: number,
  run: (client: number) => Promise<unknown>,
): Promise<Sample> {
  const durations = new Durations();
  const start = performance.now();
  const end = start + seconds * 1000;
  const caller = async (client: number): Promise<void> => {
    let now = performance.now();
    while (now < end) {
      await run(client);
      const done = performance.now();
      durations.add(done - now);
      now = done;
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, client) => caller(client)));
  return { items: durations.count, wallMs: performance.now() - start, ...durations.summary() };
}
