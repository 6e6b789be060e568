/** Writes the manifest of the official cases from a full run; what changed is then to be read in the difference. */
import { writeFileSync } from "node:fs";
import { modelsOf } from "../python/onnx-cases.js";
import { formatManifest, MANIFEST } from "./manifest.js";
import { runCases } from "./runner.js";

const results = await runCases(modelsOf("node"));
writeFileSync(MANIFEST, formatManifest(results));
const counts = new Map<string, number>();
for (const { status } of results) counts.set(status, (counts.get(status) ?? 0) + 1);
console.log([...counts].map(([status, count]) => `${count} ${status}`).join(", "));
