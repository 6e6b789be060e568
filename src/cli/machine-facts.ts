/** What a bug report needs to know of a machine: versions, processor, the limits around this process, pool, cache. */
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { formatBytes, toTenonError } from "../base/index.js";
import { type Engine, poolThreads, usableCores } from "../runtime/index.js";
import { packageVersion } from "./version.js";

/** Facts by name, as text, in the order in which they are printed. */
export async function machineFacts(open: () => Promise<Engine>): Promise<Record<string, string>> {
  return {
    tenon: packageVersion(),
    node: process.versions.node,
    ...(await engineFacts(open)),
    platform: `${process.platform}-${process.arch} ${release()}`,
    processor: cpus()[0]?.model ?? "unknown",
    flags: vectorFlags(read("/proc/cpuinfo")),
    cores: `${usableCores()} usable of ${cpus().length}`,
    memory: formatBytes(totalmem()),
    "cgroup cpu": read("/sys/fs/cgroup/cpu.max")?.trim() ?? "no limit known",
    "cgroup memory": memoryLimit(read("/sys/fs/cgroup/memory.max")),
    "pool threads": `${poolThreads()} (UV_THREADPOOL_SIZE ${process.env.UV_THREADPOOL_SIZE ?? "not set"})`,
  };
}

async function engineFacts(open: () => Promise<Engine>): Promise<Record<string, string>> {
  try {
    await using engine = await open();
    return {
      onnxruntime: engine.runtimeVersion,
      lanes: String(engine.capacity.lanes),
      cache: engine.cacheFolder ?? "off",
    };
  } catch (error) {
    const { code, problem } = toTenonError(error);
    return { onnxruntime: `not usable (${code}: ${problem})` };
  }
}

/** Only the flags that choose kernels: the whole list is long, and the same on most machines. */
export function vectorFlags(cpuinfo: string | undefined): string {
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(cpuinfo ?? "")?.[1]?.split(" ") ?? [];
  const chosen = flags.filter((flag) =>
    /^(avx|amx|fma$|f16c$|sse4|vnni|neon|asimd|sve|bf16|i8mm)/.test(flag),
  );
  return chosen.length === 0 ? "unknown" : chosen.join(" ");
}

export function memoryLimit(text: string | undefined): string {
  const bytes = Number(text);
  if (text === undefined) return "no limit known";
  return Number.isFinite(bytes) ? formatBytes(bytes) : "no limit";
}

/** undefined where there is no such file, as on other systems. */
function read(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
