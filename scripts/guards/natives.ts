/** Guard: importing a pure subpath loads no native library, seen in a fresh process. */
import { execFileSync } from "node:child_process";
import type { Finding } from "./tree.js";

/** Subpaths that must work without any native code. */
export const PURE_SUBPATHS = [
  "tenon/base",
  "tenon/tensor",
  "tenon/onnx",
  "tenon/torch",
  "tenon/client",
] as const;

/** Libraries loaded by importing `specifier` that a bare Node.js process does not have. */
export function checkNatives(root: string, specifier: string): Finding[] {
  const script = `
    const loaded = () => process.report.getReport().sharedObjects;
    process.report.excludeNetwork = true;
    const before = new Set(loaded());
    await import(${JSON.stringify(specifier)});
    console.log(JSON.stringify(loaded().filter((path) => !before.has(path))));
  `;
  const printed = execFileSync(process.execPath, ["--input-type=module", "--eval", script], {
    cwd: root,
    encoding: "utf8",
    timeout: 60_000,
  });
  const extra: readonly string[] = JSON.parse(printed);
  return extra.map((path) => ({ file: specifier, message: `loads native code: ${path}` }));
}
