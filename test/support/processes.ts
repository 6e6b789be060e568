/** What a process has open, read from /proc: children, descriptors, mappings of shared memory. Linux only. */
import { readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** Ids of the live children of a process. */
export function childrenOf(pid: number | "self" = "self"): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, "latin1").split(" ").filter(Boolean).map(Number),
  );
}

export function openDescriptors(): number {
  return readdirSync("/proc/self/fd").length;
}

/** Mappings of memory that is shared with model processes. */
export function sharedMappings(): number {
  return readFileSync("/proc/self/maps", "latin1")
    .split("\n")
    .filter((line) => line.includes("memfd:tenon")).length;
}

export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "latin1"));
  } catch {
    return false;
  }
}

/** Waits, for at most ten seconds, until `holds` does. */
export async function until(holds: () => boolean): Promise<boolean> {
  for (let i = 0; i < 1000; i++) {
    if (holds()) return true;
    await sleep(10);
  }
  return false;
}
