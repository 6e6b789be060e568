/** A module's own code: the file and all that it imports by relative paths, and what they import so. */
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, relative, resolve } from "node:path";

/** Static imports and exports, and calls of import and require with a literal; one in a comment does no harm. */
const SPECIFIER = /(?:\bfrom\s*|\bimport\s*\(?\s*|\brequire\s*\(\s*)(["'])(\.{1,2}\/[^"'\n]*)\1/g;
/** What `require` tries. */
const ENDINGS = ["", ".js", ".cjs", ".mjs", ".json", "/index.js"];

async function contents(path: string): Promise<{ path: string; source: Buffer } | undefined> {
  for (const ending of ENDINGS) {
    const source = await readFile(path + ending).catch(() => undefined);
    if (source !== undefined) return { path: path + ending, source };
  }
  return undefined;
}

/** The sha256 over paths and contents, the paths as seen from the first file. Packages and files that are read otherwise are not covered. */
export async function localModulesSha256(entry: string): Promise<string> {
  const found = new Map<string, Buffer>();
  const waiting = [entry];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const file = await contents(next);
    if (file === undefined || found.has(file.path)) continue;
    found.set(file.path, file.source);
    if (file.path.endsWith(".json")) continue;
    for (const [, , specifier] of file.source.toString("utf8").matchAll(SPECIFIER))
      waiting.push(resolve(dirname(file.path), specifier!.replace(/[?#].*$/, "")));
  }
  const hash = createHash("sha256");
  const named = [...found].map(([path, source]) => [relative(dirname(entry), path), source] as const);
  for (const [name, source] of named.sort(([a], [b]) => (a < b ? -1 : 1)))
    hash.update(`${name}\0${source.length}\0`).update(source);
  return hash.digest("hex");
}
