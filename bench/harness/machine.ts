/** What the figures were measured on, in one line. */
import { readFileSync } from "node:fs";
import { availableParallelism, cpus, release, totalmem, type } from "node:os";
import { join } from "node:path";

/** Processor, cores, memory, system and the versions that matter. */
export function machineLine(): string {
  const model = cpus()[0]?.model.trim() ?? "unknown processor";
  const memory = Math.round(totalmem() / 2 ** 30);
  const versions = `node ${process.versions.node}, onnxruntime-node ${versionOf("onnxruntime-node")}, koffi ${versionOf("koffi")}, fastify ${versionOf("fastify")}`;
  return `${model}, ${availableParallelism()} cores, ${memory} GiB, ${type()} ${release()}; ${versions}`;
}

/** The exact version that package.json pins. */
function versionOf(name: string): string {
  const file = join(import.meta.dirname, "../../../package.json");
  const { dependencies, devDependencies } = JSON.parse(readFileSync(file, "utf8")) as Record<
    "dependencies" | "devDependencies",
    Readonly<Record<string, string>>
  >;
  return dependencies[name] ?? devDependencies[name] ?? "unknown";
}
