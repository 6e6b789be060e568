/** External data: which files a model may name for its weights, checked before anything else opens them. */
import { closeSync } from "node:fs";
import { join, sep } from "node:path";
import { TenonError } from "../base/index.js";
import type { Locate } from "./from-proto.js";
import { invalid } from "./invalid.js";
import { type FileRef, openChecked, resolvePath } from "./source.js";

export interface ExternalOptions {
  /** `verify` (default): every external file must be there and pass the rules. `ignore`: leave data unresolved. */
  readonly external?: "verify" | "ignore";
  /** Folders beside the model's own in which external data may really lie (links resolved). */
  readonly roots?: readonly string[];
  /** Accept files with several hard links, as package managers make them; default false. */
  readonly hardLinks?: boolean;
}

/**
 * Finds the bytes of external tensors in `baseDir`. `realDir` is where the model file itself lies with links resolved
 * (a hub cache links model and data into one folder of blobs): data may lie there too.
 */
export function externalFiles(
  baseDir: string | undefined,
  realDir: string | undefined,
  options: ExternalOptions,
): Locate {
  if (baseDir === undefined || options.external === "ignore") {
    return (entries, tensor) => {
      checkEntries(entries, tensor);
      return undefined;
    };
  }
  const files = new Map<string, FileRef>();
  let roots: string[] | undefined;
  return (entries, tensor) => {
    const { location, offset, length } = checkEntries(entries, tensor);
    let file = files.get(location);
    if (file === undefined) {
      roots ??= [baseDir, ...(realDir === undefined ? [] : [realDir]), ...(options.roots ?? [])].map(
        resolvePath,
      );
      file = openExternal(baseDir, location, roots, options.hardLinks ?? false);
      files.set(location, file);
    }
    const bytes = length ?? file.size - offset;
    if (offset + bytes > file.size || bytes < 0) {
      throw invalid(`the external data of tensor "${tensor}" ends behind its file`, {
        given: `offset ${offset}, length ${bytes}`,
        expected: `at most ${file.size} bytes in "${location}"`,
      });
    }
    return { file, offset, length: bytes };
  };
}

interface Location {
  readonly location: string;
  readonly offset: number;
  readonly length: number | undefined;
}

const KEYS: ReadonlySet<string> = new Set(["location", "offset", "length", "checksum"]);

function checkEntries(entries: ReadonlyMap<string, string>, tensor: string): Location {
  for (const key of entries.keys()) {
    if (!KEYS.has(key))
      throw invalid(`the external data of tensor "${tensor}" has an unknown key`, { given: key });
  }
  const location = entries.get("location") ?? "";
  if (!isPlainRelative(location)) {
    throw invalid(`the external data of tensor "${tensor}" has a location that is not allowed`, {
      given: JSON.stringify(location.slice(0, 200)),
      expected: "a relative path with forward slashes that stays in the model's folder",
    });
  }
  const length = entries.get("length");
  return {
    location,
    offset: decimal(entries.get("offset") ?? "0", tensor),
    length: length === undefined ? undefined : decimal(length, tensor),
  };
}

function isPlainRelative(location: string): boolean {
  if (location.includes("\0") || location.includes("\\") || /^[A-Za-z]:/.test(location)) return false;
  return location.split("/").every((part) => part !== "" && part !== "." && part !== "..");
}

function decimal(text: string, tensor: string): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) {
    throw invalid(`the external data of tensor "${tensor}" has an offset or length that is no count`, {
      given: text.slice(0, 40),
    });
  }
  return value;
}

function openExternal(
  baseDir: string,
  location: string,
  roots: readonly string[],
  hardLinks: boolean,
): FileRef {
  const path = resolvePath(join(baseDir, location));
  if (!roots.some((root) => path.startsWith(root.endsWith(sep) ? root : root + sep))) {
    throw invalid("external data lies outside the model's folder", {
      given: `"${location}"`,
      do: "move the data beside the model, or allow its folder with roots",
    });
  }
  const { descriptor, file, links } = openChecked(path);
  closeSync(descriptor);
  if (links > 1 && !hardLinks) {
    throw new TenonError("MODEL_INVALID", {
      problem: "an external data file has several hard links",
      given: `"${location}" with ${links}`,
      do: "copy the file, or allow it with hardLinks: true",
    });
  }
  return file;
}
