/** A process with all that it started: processor time and memory, from the kernel's own account (Linux). */
import { readdirSync, readFileSync } from "node:fs";

/** Clock ticks of the kernel's account in a second. */
const TICKS = 100;

function fileOf(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch {
    return ""; // ended since
  }
}

/** The process and everything below it. */
export function treeOf(root: number): readonly number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync("/proc")) {
    const pid = Number(name);
    if (!Number.isInteger(pid)) continue;
    const parent = Number(/\) \S (\d+)/.exec(fileOf(pid, "stat"))?.[1] ?? 0);
    children.set(parent, [...(children.get(parent) ?? []), pid]);
  }
  const found = [root];
  for (const pid of found) found.push(...(children.get(pid) ?? []));
  return found;
}

/** Milliseconds of processor time that they have used so far. */
export function cpuMsOf(pids: readonly number[]): number {
  let ticks = 0;
  for (const pid of pids) {
    const fields = fileOf(pid, "stat")
      .replace(/^.*\) /, "")
      .split(" ");
    if (fields.length > 12) ticks += Number(fields[11]) + Number(fields[12]);
  }
  return (1000 * ticks) / TICKS;
}

/** Megabytes of memory, what they share counted once. */
export function pssMegabytesOf(pids: readonly number[]): number {
  let kilobytes = 0;
  for (const pid of pids) kilobytes += Number(/^Pss: +(\d+) kB/m.exec(fileOf(pid, "smaps_rollup"))?.[1] ?? 0);
  return kilobytes / 1000;
}
