/** What of the machine this process may use: cores (cgroup quota included) and threads of the libuv pool. */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Cores this process may keep busy: those it is scheduled on, capped by the cgroup's CPU quota; at least 1. */
export function usableCores(): number {
  return Math.max(1, Math.min(availableParallelism(), cgroupQuota()));
}

function cgroupQuota(): number {
  if (process.platform !== "linux") return Number.POSITIVE_INFINITY;
  for (const [file, parse] of QUOTAS) {
    try {
      return Math.max(1, Math.floor(parse(readFileSync(file, "utf8"))));
    } catch {}
  }
  return Number.POSITIVE_INFINITY;
}

const QUOTAS: readonly (readonly [string, (text: string) => number])[] = [
  ["/sys/fs/cgroup/cpu.max", (text) => quota(...(text.trim().split(" ") as [string, string]))],
  [
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us",
    (text) => quota(text.trim(), readFileSync("/sys/fs/cgroup/cpu/cpu.cfs_period_us", "utf8")),
  ],
];

function quota(used: string, period: string): number {
  const share = Number(used) / Number(period);
  return Number.isFinite(share) && share > 0 ? share : Number.POSITIVE_INFINITY;
}

/** Threads of the libuv pool, as they were fixed when the process started (`UV_THREADPOOL_SIZE`, default 4). */
export function poolThreads(env: NodeJS.ProcessEnv = process.env): number {
  const given = Number.parseInt(env.UV_THREADPOOL_SIZE ?? "", 10);
  return Number.isNaN(given) ? 4 : Math.min(Math.max(given, 1), 1024);
}

/** Pool threads that stay free for files, name look-ups and compression when the pool is shared with an application. */
const SPARE_POOL_THREADS = 2;

/** Lanes for an engine: one per core; in a shared pool two threads stay free. */
export function defaultLanes(dedicatedPool: boolean): number {
  const threads = poolThreads();
  return Math.max(1, Math.min(usableCores(), dedicatedPool ? threads : threads - SPARE_POOL_THREADS));
}
