/** What a process holds, from the kernel's own account. */
import { readFileSync } from "node:fs";

/** Megabytes of memory of this process that no file backs (Linux); elsewhere the resident set. */
function anonymousMegabytes(): number {
  if (process.platform !== "linux") return process.memoryUsage().rss / 1e6;
  const rollup = readFileSync("/proc/self/smaps_rollup", "utf8");
  return Number(/^Anonymous: +(\d+) kB/m.exec(rollup)![1]) / 1000;
}

/** Collects garbage (the process needs `--expose-gc`), lets finalizers run, and reads the anonymous memory. */
export async function settledMegabytes(): Promise<number> {
  const { gc } = globalThis;
  if (gc === undefined) throw new Error("start the process with --expose-gc");
  for (let turn = 0; turn < 4; turn++) {
    gc();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return anonymousMegabytes();
}
