/** Guard: layers import only what lies below them, through its index, and no file imports itself in a circle. */
import { posix } from "node:path";
import type { Finding, Tree } from "./tree.js";

interface Layer {
  /** Layers of ours that this one may import; `base` is open to all. */
  readonly layers: readonly string[];
  /** Packages from the registry that this one may import. */
  readonly packages: readonly string[];
  /** Files besides its index that others may import: little of a layer that is large. */
  readonly entries?: readonly string[];
}

/** The plan of the house: a folder of `src` each. A new layer is a new row. */
const LAYERS: Readonly<Record<string, Layer>> = {
  base: { layers: [], packages: [] },
  simd: { layers: [], packages: [] },
  tensor: { layers: ["simd"], packages: [], entries: ["core.ts"] },
  onnx: { layers: ["tensor"], packages: ["@bufbuild/protobuf"], entries: ["findings.ts"] },
  torch: { layers: ["tensor", "onnx"], packages: [] },
  data: { layers: ["simd", "tensor"], packages: ["@duckdb/node-api", "fzstd", "nodejs-polars"] },
  score: { layers: ["tensor", "runtime", "data"], packages: ["bullmq", "ioredis", "pg"] },
  runtime: {
    layers: ["tensor", "onnx"],
    packages: ["koffi", "onnxruntime-node"],
    entries: ["first-process.ts", "model-name.ts", "runner/doorbell.ts"],
  },
  train: { layers: ["simd", "tensor", "data", "onnx", "torch", "runtime"], packages: [] },
  embed: {
    layers: ["simd", "tensor", "onnx", "torch", "runtime", "train"],
    packages: ["@huggingface/tokenizers", "sharp"],
  },
  serve: { layers: ["tensor", "runtime"], packages: ["pino"] },
  client: { layers: [], packages: [] },
  doctor: { layers: [], packages: [] },
  cli: {
    layers: [
      ...["tensor", "client", "doctor", "onnx", "torch", "runtime", "data", "score", "train", "embed"],
      "serve",
    ],
    packages: ["commander", "pino"],
  },
  // The public surface, src/index.ts.
  index: { layers: ["tensor", "onnx", "runtime", "serve"], packages: [] },
};

/** Packages that only tests may import, beside those of the layer. */
const TEST_PACKAGES = ["fast-check", "@bufbuild/protobuf"];

export interface Import {
  readonly specifier: string;
  readonly typeOnly: boolean;
}

// A comment, an import or export with its specifier, or a string (skipped, so that its text is not read).
const TOKEN =
  /\/\*[\s\S]*?\*\/|\/\/[^\n]*|\b(import|export)(\s+type\b)?(?:[\s\w$*{},]*?\sfrom)?[\s(]*(["'])([^"'\n]+)\3|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;

/** The specifiers that a source imports, also dynamically and by re-export. */
export function importsOf(source: string): Import[] {
  return [...source.matchAll(TOKEN)]
    .filter((match) => match[4] !== undefined)
    .map((match) => ({ specifier: match[4]!, typeOnly: match[2] !== undefined }));
}

/** Findings on arrows between layers, on packages, and on paths around a layer's index. */
export function checkLayers(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  for (const [file, source] of tree) {
    for (const { specifier } of importsOf(source)) {
      const message = file.startsWith("src/") ? fromSource(file, specifier) : fromOutside(file, specifier);
      if (message !== undefined) findings.push({ file, message });
    }
  }
  return findings;
}

function fromSource(file: string, specifier: string): string | undefined {
  const name = layerOf(file);
  const layer = LAYERS[name];
  if (layer === undefined) return `layer "${name}" is not in the table of scripts/guards/imports.ts`;
  if (specifier.startsWith("node:")) return undefined;
  if (!specifier.startsWith(".")) {
    const found = packageOf(specifier);
    if (found === "tenon") return `src imports itself as "${specifier}"; use a relative path`;
    if (layer.packages.includes(found)) return undefined;
    if (file.endsWith(".test.ts") && TEST_PACKAGES.includes(found)) return undefined;
    return `layer "${name}" may not import the package "${found}"`;
  }
  const target = resolved(file, specifier);
  if (!target.startsWith("src/")) return `"${specifier}" leaves src`;
  const other = layerOf(target);
  if (other === name) return undefined;
  if (other !== "base" && !layer.layers.includes(other)) return `layer "${name}" may not import "${other}"`;
  const entries = ["index.ts", ...(LAYERS[other]?.entries ?? [])];
  if (!entries.some((entry) => target === `src/${other}/${entry}`))
    return `"${specifier}" goes around src/${other}/index.ts`;
  return undefined;
}

function fromOutside(file: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const target = resolved(file, specifier);
  const inside = ["src/", "dist/", "build/"].find((folder) => target.startsWith(folder));
  return inside === undefined
    ? undefined
    : `"${specifier}" reaches into ${inside}; import the package by name`;
}

/** Findings for every circle of imports, each told once, from its first file in path order. */
export function checkCycles(tree: Tree): Finding[] {
  const findings: Finding[] = [];
  const state = new Map<string, "open" | "done">();
  const trail: string[] = [];
  const visit = (file: string): void => {
    state.set(file, "open");
    trail.push(file);
    for (const { specifier } of importsOf(tree.get(file)!)) {
      const target = specifier.startsWith(".") ? resolved(file, specifier) : "";
      if (!tree.has(target)) continue;
      if (state.get(target) === "open") {
        const circle = [...trail.slice(trail.indexOf(target)), target];
        findings.push({ file: target, message: `import cycle ${circle.join(" → ")}` });
      } else if (state.get(target) === undefined) visit(target);
    }
    trail.pop();
    state.set(file, "done");
  };
  for (const file of [...tree.keys()].sort()) if (!state.has(file)) visit(file);
  return findings;
}

function resolved(file: string, specifier: string): string {
  return posix.join(posix.dirname(file), specifier).replace(/\.js$/, ".ts");
}

function layerOf(file: string): string {
  return file.split("/")[1]!.replace(/(\.test)?\.ts$/, "");
}

function packageOf(specifier: string): string {
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
