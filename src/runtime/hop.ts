/** What it costs to go to a thread of the pool and back: measured once, with a call that does nothing. */
import type { OrtLibrary } from "./ort/library.js";
import { Words } from "./ort/memory.js";

const TRIPS = 21;

/** Median milliseconds of a round trip through the libuv pool. */
export async function measureHop(library: OrtLibrary): Promise<number> {
  const { functions } = library;
  const out = new Words(library, 1);
  const times: number[] = [];
  for (let i = 0; i < TRIPS; i++) {
    const startedAt = performance.now();
    await new Promise<void>((resolve, reject) => {
      functions.GetAllocatorWithDefaultOptions.async(out.address, (error) =>
        error === null ? resolve() : reject(error),
      );
    });
    times.push(performance.now() - startedAt);
  }
  return times.sort((a, b) => a - b)[TRIPS >> 1]!;
}
