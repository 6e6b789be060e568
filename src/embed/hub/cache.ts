/** The cache that Hugging Face's tools share: `models--owner--name` with blobs, snapshots and refs. */
import { readFileSync } from "node:fs";
import { mkdir, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { TenonError } from "../../base/index.js";
import { isFolder } from "../card/files.js";
import { knownModel, repositoryOf } from "./known.js";
import { checkHubName, checkRevision, isCommit, isHubName } from "./names.js";
import { hubSettings } from "./settings.js";

/** Folder of a model in the cache. */
export function cacheFolder(cache: string, repository: string): string {
  return join(cache, `models--${repository.split("/").join("--")}`);
}

/** The folder with the files of a revision, or of the first that was pulled; undefined where none was. */
export function snapshotOf(
  cache: string,
  repository: string,
  revisions: string | readonly string[],
): string | undefined {
  const folder = cacheFolder(cache, repository);
  return [revisions]
    .flat()
    .map((revision) => (isCommit(revision) ? revision : commitIn(join(folder, "refs", revision))))
    .map((commit) => (commit === undefined ? "" : join(folder, "snapshots", commit)))
    .find((path) => path !== "" && isFolder(path));
}

/** The revisions that a name alone stands for: the one that the registry compared, then `main`. */
export function revisionsOf(name: string): readonly string[] {
  const { revision } = knownModel(name)?.facts ?? {};
  return revision === undefined ? ["main"] : [revision, "main"];
}

function commitIn(path: string): string | undefined {
  try {
    const commit = readFileSync(path, "utf8").trim();
    return isCommit(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The folder of a model: a path as it is, a name as it was pulled. Throws MODEL_NOT_FOUND for a name that is in no cache, with
 * what to do; a path that is not there is given back, for its reader to refuse.
 */
export function modelFolder(given: string, revision?: string): string {
  if (typeof given !== "string" || given.includes("\0")) {
    throw new TenonError("USAGE", {
      problem: "a model is given as a folder or a name",
      given: typeof given === "string" ? JSON.stringify(given.slice(0, 120)) : typeof given,
    });
  }
  if (isFolder(given) || !isHubName(given)) return given;
  checkHubName(given);
  if (revision !== undefined) checkRevision(revision);
  const { cache } = hubSettings();
  const found = snapshotOf(cache, repositoryOf(given), revision ?? revisionsOf(given));
  if (found !== undefined) return found;
  throw new TenonError("MODEL_NOT_FOUND", {
    problem: "there is no such folder, and no model of this name was pulled",
    given,
    expected: `a folder, or a name that lies in ${cache}`,
    do: `tenon pull ${given}`,
  });
}

/** Puts a blob where its snapshot has it: as a link, or as a copy where the system has none for its user. */
export async function linkBlob(blob: string, place: string): Promise<void> {
  await mkdir(dirname(place), { recursive: true });
  await rm(place, { force: true });
  try {
    await symlink(relative(dirname(place), blob), place);
  } catch {
    const { copyFile } = await import("node:fs/promises");
    await copyFile(blob, place);
  }
}

/** Remembers which commit a branch or tag stands for. */
export async function writeRef(folder: string, revision: string, commit: string): Promise<void> {
  if (isCommit(revision)) return;
  const path = join(folder, "refs", revision);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, commit);
}
