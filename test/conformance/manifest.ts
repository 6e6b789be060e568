/** The text manifest of the official cases: `name  status  reason`, one a line; `pass` needs no reason. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import type { CaseResult } from "./run-cases.js";

export const MANIFEST = resolve(import.meta.dirname, "../../../test/conformance/node-cases.txt");

const HEADER = `# Official node test cases of onnx 1.22.0, run through reader, writer and engine: name, status, reason.
# pass: equal outputs; differs: other outputs; refused: an error before or in the run; crash: the process ended.
# Written by: node build/test/conformance/write-manifest.js
`;

export function formatManifest(results: readonly CaseResult[]): string {
  const lines = results.map(({ name, status, reason }) => [name, status, reason].filter(Boolean).join("  "));
  return `${HEADER}${lines.join("\n")}\n`;
}

/** Expected status by case. */
export function readManifest(): Map<string, string> {
  const expected = new Map<string, string>();
  for (const line of readFileSync(MANIFEST, "utf8").split("\n")) {
    const [name = "", status = ""] = line.split("  ");
    if (name !== "" && !name.startsWith("#")) expected.set(name, status);
  }
  return expected;
}
