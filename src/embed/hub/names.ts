/** Names of models on a hub, and paths and hashes that a hub's answers give: only those that stay where they belong. */
import { TenonError } from "../../base/index.js";

const PART = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/;
const COMMIT = /^[0-9a-f]{40}$/;

/** True for `name` and `owner/name` as hubs have them. */
export function isHubName(name: string): boolean {
  const parts = name.split("/");
  return (
    parts.length <= 2 &&
    parts.every((part) => PART.test(part) && !part.includes("..") && !part.includes("--"))
  );
}

/** Throws USAGE for what is no name of a model. */
export function checkHubName(name: string): void {
  if (isHubName(name)) return;
  throw new TenonError("USAGE", {
    problem: "this is no name of a model",
    given: JSON.stringify(name.slice(0, 120)),
    expected: "NAME or OWNER/NAME, as sentence-transformers/all-MiniLM-L6-v2",
  });
}

/** A revision that may stand in an address and in a path: a branch, a tag or a commit. Throws USAGE. */
export function checkRevision(revision: string): void {
  const parts = revision.split("/");
  if (parts.every((part) => /^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$/.test(part) && !part.includes(".."))) return;
  throw new TenonError("USAGE", {
    problem: "this is no revision",
    given: JSON.stringify(revision.slice(0, 120)),
    expected: "a branch, a tag or a commit",
  });
}

export function isCommit(text: unknown): text is string {
  return typeof text === "string" && COMMIT.test(text);
}

/** True for a path inside a repository: parts with names, none of which leads out of it. */
export function isInside(path: string): boolean {
  if (path.length === 0 || path.length > 512) return false;
  return path.split("/").every((part) => part !== "" && part !== "." && part !== ".." && SAFE.test(part));
}

/** Nothing that a file system takes for more than a name. */
const SAFE = /^[^\\/:*?"<>|\p{Cc}]{1,200}$/u;

/** An ETag without its quotes; undefined where it could not be the name of a file. */
export function hashOf(etag: string | null): string | undefined {
  const bare = etag?.replace(/^W\//, "").replace(/^"(.*)"$/, "$1");
  return bare !== undefined && /^[A-Za-z0-9_-]{8,128}$/.test(bare) ? bare : undefined;
}
