/** The JSON files of a model's folder: read within bounds, objects only, and fields with the type that is expected. */
import { readFileSync, type Stats, statSync } from "node:fs";
import { join } from "node:path";
import { TenonError } from "../../base/index.js";

/** What stat throws for paths at which there can be nothing. */
const NOWHERE: ReadonlySet<string | undefined> = new Set(["ENOTDIR", "ENAMETOOLONG", "ELOOP"]);

/** Undefined also for a path that leads through a file, in circles, or on and on. */
function statOf(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (error) {
    if (NOWHERE.has((error as NodeJS.ErrnoException).code)) return undefined;
    throw error;
  }
}

/** Configurations are small; tokenizers with vocabularies are not read here. */
const MOST_BYTES = 32 * 2 ** 20;

export type Fields = Readonly<Record<string, unknown>>;

export function isFile(path: string): boolean {
  return statOf(path)?.isFile() === true;
}

export function isFolder(path: string): boolean {
  return statOf(path)?.isDirectory() === true;
}

/** The value of a JSON file; undefined where there is no such file. Throws FILE_INVALID. */
export function readJson(folder: string, name: string): unknown {
  const path = join(folder, name);
  const stat = statOf(path);
  if (stat?.isFile() !== true) return undefined;
  if (stat.size > MOST_BYTES) throw invalidFile(name, `larger than ${MOST_BYTES} bytes`);
  try {
    return JSON.parse(readFileSync(path, "utf8").replace(/^\uFEFF/, ""));
  } catch (cause) {
    throw new TenonError("FILE_INVALID", { problem: `${name} is not JSON`, given: path, cause });
  }
}

/** The object in a JSON file; undefined where there is no such file. Throws FILE_INVALID. */
export function readFields(folder: string, name: string): Fields | undefined {
  const value = readJson(folder, name);
  if (value === undefined) return undefined;
  if (isFields(value)) return value;
  throw invalidFile(name, "no object");
}

export function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function invalidFile(name: string, given: string, expected?: string): TenonError {
  return new TenonError("FILE_INVALID", {
    problem: `${name} does not say what it should`,
    given,
    ...(expected === undefined ? {} : { expected }),
  });
}

/** A positive whole number, or undefined where the field is absent or null. Throws FILE_INVALID. */
export function countAt(fields: Fields, key: string, file: string): number | undefined {
  const value = fields[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 1) return value;
  throw invalidFile(file, `"${key}": ${JSON.stringify(value)?.slice(0, 80)}`, "a whole number from 1");
}

export function flagAt(fields: Fields, key: string, file: string): boolean | undefined {
  const value = fields[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "boolean") return value;
  throw invalidFile(file, `"${key}": ${JSON.stringify(value)?.slice(0, 80)}`, "true or false");
}

export function textAt(fields: Fields, key: string, file: string): string | undefined {
  const value = fields[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  throw invalidFile(file, `"${key}": ${JSON.stringify(value)?.slice(0, 80)}`, "a text");
}

/** A folder that modules.json names: inside the model's folder. Throws FILE_INVALID. */
export function insideFolder(folder: string, path: string, file: string): string {
  const parts = path.split(/[/\\]/);
  if (path.startsWith("/") || /^[A-Za-z]:|\p{Cc}/u.test(path) || parts.includes(".."))
    throw invalidFile(file, `the path ${JSON.stringify(path.slice(0, 80))}`, "a folder inside the model's");
  return join(folder, path);
}
