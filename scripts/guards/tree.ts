/** What the guards read: texts by path from the repository root, and what they say about them. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

/** Texts by path; paths are relative to the root and use `/`. */
export type Tree = ReadonlyMap<string, string>;

/** One thing that is not as the house wants it. */
export interface Finding {
  readonly file: string;
  readonly message: string;
}

/** The repository this script was built from (`build/scripts/guards` lies three folders below it). */
export const ROOT = resolve(import.meta.dirname, "../../..");

const IGNORED = new Set(["node_modules", "dist", "build", ".git", ".cache"]);

/** Every file under `folders` (or the named files themselves) whose name ends in one of `endings`. */
export function readTree(root: string, folders: readonly string[], endings: readonly string[]): Tree {
  const tree = new Map<string, string>();
  const visit = (path: string): void => {
    const stats = statSync(join(root, path), { throwIfNoEntry: false });
    if (stats?.isDirectory()) {
      for (const name of readdirSync(join(root, path)).sort()) {
        if (!IGNORED.has(name)) visit(path === "." ? name : `${path}/${name}`);
      }
    } else if (stats?.isFile() && endings.some((ending) => path.endsWith(ending))) {
      tree.set(path, readFileSync(join(root, path), "utf8"));
    }
  };
  for (const folder of folders) visit(folder);
  return tree;
}

export function printFinding({ file, message }: Finding): string {
  return `${file}: ${message}`;
}
