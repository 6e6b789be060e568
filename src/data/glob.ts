/** Paths with wildcards: `*`, `?`, `**` over folders; sorted, so that every machine reads files in one order. */
import { readdir, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { TenonError } from "../base/index.js";

const WILD = /[*?]/;

/** The files of `patterns`, each pattern's own sorted by path. A pattern without a file throws FILE_NOT_FOUND. */
export async function expandGlobs(patterns: readonly string[]): Promise<string[]> {
  const files: string[] = [];
  for (const pattern of patterns) {
    // Parquet's reader opens URLs; for them nothing is a wildcard.
    if (isUrl(pattern)) {
      files.push(pattern);
      continue;
    }
    const found = WILD.test(pattern) ? await matches(pattern) : await plain(pattern);
    if (found.length === 0) {
      throw new TenonError("FILE_NOT_FOUND", {
        problem: "no file matches",
        given: pattern,
        expected: "a path, or a pattern with *, ? or ** that some file matches",
      });
    }
    files.push(...found);
  }
  return files;
}

export function isUrl(path: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(path);
}

/** Throws USAGE for URLs, where files alone are read. */
export function noUrls(paths: readonly string[], kind: string): void {
  if (paths.some(isUrl))
    throw new TenonError("USAGE", {
      problem: `${kind} is read from files, not from URLs`,
      do: "download the file, or write it as Parquet",
    });
}

async function plain(path: string): Promise<string[]> {
  try {
    await stat(path);
    return [path];
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", { problem: "a file cannot be read", given: path, cause });
  }
}

async function matches(pattern: string): Promise<string[]> {
  const parts = pattern.split(sep === "\\" ? /[\\/]/ : "/");
  const found: string[] = [];
  await walk(parts[0] === "" ? "/" : "", parts[0] === "" ? parts.slice(1) : parts, found);
  return [...new Set(found)].sort();
}

async function walk(folder: string, parts: readonly string[], found: string[]): Promise<void> {
  const [part, ...rest] = parts;
  if (part === undefined) return;
  if (part === "**") {
    await walk(folder, rest, found);
    for (const entry of await entries(folder))
      if (entry.isDirectory() && !entry.name.startsWith("."))
        await walk(join(folder, entry.name), parts, found);
    return;
  }
  if (!WILD.test(part)) {
    const path = folder === "" ? part : join(folder, part);
    if (rest.length > 0) await walk(path, rest, found);
    else if (await isFile(path)) found.push(path);
    return;
  }
  const wanted = expression(part);
  for (const entry of await entries(folder)) {
    if (!wanted.test(entry.name) || (entry.name.startsWith(".") && !part.startsWith("."))) continue;
    const path = folder === "" ? entry.name : join(folder, entry.name);
    if (rest.length > 0) await walk(path, rest, found);
    else if (await isFile(path)) found.push(path);
  }
}

async function entries(folder: string) {
  try {
    return await readdir(folder === "" ? "." : folder, { withFileTypes: true });
  } catch {
    return []; // no folder, or not to be read: nothing matches there
  }
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

function expression(part: string): RegExp {
  const text = part
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*/g, ".*")
    .replace(/\?/g, ".");
  return new RegExp(`^${text}$`, "s");
}
