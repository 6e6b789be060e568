/** giveBack: memory that the allocator of C keeps for later goes back to the system, where it can be asked to. */
import { loadKoffi } from "./koffi.js";

let trimming: Promise<() => Promise<void>> | undefined;

/**
 * Loading and freeing a large model leaves as much free memory in the heap of C. Linux with glibc only, elsewhere nothing
 * happens; takes some milliseconds on the libuv pool. Never rejects.
 */
export async function giveBack(): Promise<void> {
  trimming ??= bind();
  await (await trimming)();
}

async function bind(): Promise<() => Promise<void>> {
  const nothing = async (): Promise<void> => undefined;
  if (process.platform !== "linux") return nothing;
  try {
    const library = (await loadKoffi()).load("libc.so.6");
    const trim = library.func("int malloc_trim(size_t keep)");
    return () => new Promise((resolve) => trim.async(0, () => resolve()));
  } catch {
    return nothing; // another C library
  }
}
