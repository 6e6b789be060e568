/** `npm run check` after the build: format, lint, dead code, and every guard on the repository; `--without NAME …`. */
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { checkExports } from "./guards/exports.js";
import { checkCycles, checkLayers } from "./guards/imports.js";
import { checkNatives, PURE_SUBPATHS } from "./guards/natives.js";
import { tablePages } from "./guards/pages.js";
import { checkLinks, checkMap, checkPage } from "./guards/prose.js";
import { blocksOf, checkMarks, proveBlock } from "./guards/readme.js";
import { checkHooks, checkOpenings } from "./guards/sources.js";
import { type Finding, printFinding, ROOT, readTree } from "./guards/tree.js";

const SOURCES = ["src", "test", "bench", "examples", "scripts"];

const sources = readTree(ROOT, SOURCES, [".ts"]);
const texts = readTree(ROOT, [".", ".ci"], [".md", "package.json", "exports.txt", ".ci/run"]);
const exists = (path: string): boolean => existsSync(join(ROOT, path));
const text = (path: string): string => texts.get(path) ?? "";

/** Runs a tool of node_modules; its whole output is the finding. */
function tool(name: string, args: readonly string[]): Finding[] {
  const run = spawnSync(join(ROOT, "node_modules/.bin", name), args, {
    cwd: ROOT,
    encoding: "utf8",
    timeout: 300_000,
  });
  return run.status === 0
    ? []
    : [{ file: name, message: `exits with ${run.status}\n${run.stdout}${run.stderr}` }];
}

function layerFolders(): string[] {
  const names = readdirSync(join(ROOT, "src")).filter((name) =>
    statSync(join(ROOT, "src", name)).isDirectory(),
  );
  return [...names.map((name) => `src/${name}`), ...SOURCES.slice(1)];
}

async function readme(): Promise<Finding[]> {
  const findings = checkMarks(text("README.md"), text(".ci/run"));
  for (const block of blocksOf(text("README.md"))) findings.push(...(await proveBlock(ROOT, block)));
  return findings;
}

const steps: Readonly<Record<string, () => Finding[] | Promise<Finding[]>>> = {
  "format and lint": () => tool("biome", ["ci", "--error-on-warnings"]),
  "dead code": () => tool("knip", ["--no-progress"]),
  layers: () => checkLayers(sources),
  "import cycles": () => checkCycles(sources),
  "exported names": () => checkExports(new Map([...sources, ...texts])),
  "no native code": () => PURE_SUBPATHS.flatMap((subpath) => checkNatives(ROOT, subpath)),
  "opening sentences": () => checkOpenings(sources),
  "test hooks": () => checkHooks(sources),
  "pages from tables": () =>
    Object.entries(tablePages()).flatMap(([file, text]) => checkPage(file, texts.get(file), text)),
  links: () => checkLinks(texts, exists),
  map: () => checkMap(text("MAP.md"), layerFolders(), exists),
  README: readme,
};

const without = process.argv[2] === "--without" ? process.argv.slice(3) : [];
const chosen = Object.entries(steps).filter(([name]) => !without.includes(name));

let failed = 0;
for (const [name, step] of chosen) {
  const started = performance.now();
  const findings = await step();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`${findings.length === 0 ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
  for (const finding of findings)
    console.log(`       ${printFinding(finding).replaceAll("\n", "\n       ")}`);
  if (findings.length > 0) failed++;
}
console.log(`${chosen.length - failed} checks passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
