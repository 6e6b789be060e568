/** Paths with wildcards: `*`, `?`, `**` over folders; sorted, so that every machine reads files in one order. */
import { readdir, stat } from "node:fs/promises";
import { join, sep } from "node:path";
import { TenonError } from "../base/index.js";
import type { RemoteOptions } from "./remote/locate.js";

const WILD = /[*?]/;

/**
 * The files of `patterns`, each pattern's own sorted by path. URLs of http and https are taken as they are; those of S3 may have
 * wildcards, or end with "/": then all below is meant but what starts with "_" or ".". Throws FILE_NOT_FOUND for a pattern
 * without a file.
 */
export async function expandGlobs(
  patterns: readonly string[],
  remote: RemoteOptions = {},
): Promise<string[]> {
  const files: string[] = [];
  for (const pattern of patterns) {
    const found = isUrl(pattern) ? await behindUrl(pattern, remote) : await onDisk(pattern);
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

async function behindUrl(pattern: string, remote: RemoteOptions): Promise<string[]> {
  if (!/^s3:/i.test(pattern)) return [pattern];
  const { parseS3 } = await import("./remote/s3.js");
  const { bucket, key } = parseS3(pattern);
  if (!WILD.test(key) && key !== "" && !key.endsWith("/")) return [pattern];
  const prefix = /^[^*?]*/.exec(key)![0];
  const wanted = WILD.test(key) ? keyExpression(key) : /^/;
  const { listKeys } = await import("./remote/s3-list.js");
  const found: string[] = [];
  for await (const each of listKeys(bucket, prefix, remote)) {
    const hidden = /(^|\/)[_.]/.test(each.slice(prefix.length)) && !WILD.test(key);
    if (wanted.test(each) && !hidden && !each.endsWith("/")) found.push(`s3://${bucket}/${each}`);
  }
  return found.sort();
}

/** The keys that a pattern means, by the rules of paths. */
function keyExpression(pattern: string): RegExp {
  const parts = pattern.split("/");
  const text = parts.map((part, i) => {
    if (part === "**") return i === parts.length - 1 ? "(?!.)" : "(?:(?!\\.)[^/]+/)*";
    const visible = WILD.test(part) && !part.startsWith(".") ? "(?!\\.)" : "";
    return `${visible}${expressionText(part)}${i === parts.length - 1 ? "" : "/"}`;
  });
  return new RegExp(`^${text.join("")}$`, "s");
}

/** A file whose name has a wildcard is itself. */
async function onDisk(pattern: string): Promise<string[]> {
  return WILD.test(pattern) && !(await isFile(pattern)) ? matches(pattern) : plain(pattern);
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
  return new RegExp(`^${expressionText(part)}$`, "s");
}

function expressionText(part: string): string {
  return part
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*/g, "[^/]*")
    .replace(/\?/g, "[^/]");
}
