/** The models of the official backend tests, which the pinned onnx package carries as data. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

/** Suites of the package, with the number of models that version 1.22.0 holds. */
export const SUITES = {
  node: 1765,
  simple: 23,
  "pytorch-operator": 35,
  "pytorch-converted": 82,
  light: 9,
} as const;

/** Paths of a suite's models, sorted. */
export function modelsOf(suite: keyof typeof SUITES): string[] {
  const folder = join(dataFolder(), suite);
  return readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((file) => file.endsWith(".onnx"))
    .sort()
    .map((file) => join(folder, file));
}

let found: string | undefined;

function dataFolder(): string {
  found ??= join(runPython(["-c", "import onnx; print(onnx.__path__[0])"]).trim(), "backend/test/data");
  return found;
}

/** Runs the reference Python; returns what it printed. */
export function runPython(args: readonly string[], input = ""): string {
  return execFileSync(process.env.TENON_PYTHON!, [...args], {
    input,
    encoding: "utf8",
    timeout: 900_000,
    maxBuffer: 64 * 2 ** 20,
  });
}
