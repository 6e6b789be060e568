/** What is read before a command begins: none of the layers that only other commands need. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { test } from "node:test";
import { ROOT } from "../../scripts/guards/tree.js";

const DIST = join(ROOT, "dist");

/** Layers, and packages, of all modules that a module imports before it runs, itself included. */
function layersOf(entry: string): string[] {
  const seen = new Set([join(DIST, entry)]);
  const packages = new Set<string>();
  for (const file of seen) {
    for (const [, specifier] of readFileSync(file, "utf8").matchAll(
      /^(?:import|export)\b(?:[^;"]*?\bfrom)?\s*"([^"]+)"/gm,
    )) {
      if (specifier!.startsWith(".")) seen.add(resolve(dirname(file), specifier!));
      else if (!specifier!.startsWith("node:")) packages.add(specifier!);
    }
  }
  const layers = [...seen].map((file) => relative(DIST, file).split("/")[0]!);
  return [...new Set([...layers, ...packages])].sort();
}

const STARTS: Readonly<Record<string, readonly string[]>> = {
  "cli/program.js": ["base", "cli", "commander"],
  "cli/serve.js": ["base", "cli", "commander"],
  "cli/embed.js": ["base", "cli", "commander"],
  "cli/run.js": ["base", "cli", "commander"],
  // Two files of onnx, which only tell what preflight finds.
  "runtime/first-process.js": ["base", "runtime"],
  "runtime/index.js": ["base", "onnx", "runtime", "tensor"],
  "embed/index.js": ["base", "embed", "onnx", "runtime", "simd", "tensor"],
  "cli/text-models.js": ["base", "cli"],
};

test("a command begins with its own modules only", () => {
  for (const [entry, layers] of Object.entries(STARTS)) assert.deepEqual(layersOf(entry), layers, entry);
});

test("the runtime reads of onnx only what tells findings, until a model has to be compiled", () => {
  const text = readFileSync(join(DIST, "runtime/load.js"), "utf8");
  assert.match(text, /from "\.\.\/onnx\/findings\.js"/);
  assert.deepEqual(layersOf("onnx/findings.js"), ["base", "onnx"]);
});
