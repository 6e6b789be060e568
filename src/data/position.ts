/** Position: where a stream stopped, as a small JSON object from which it goes on bit-identically. */
import { createHash } from "node:crypto";
import { TenonError } from "../base/index.js";
import type { SourceFile } from "./scan.js";

export interface Position {
  readonly v: 1;
  /** Hash of source, filter, columns, window and shuffle. */
  readonly plan: string;
  /** Hashes of the files, joined by "-"; one hash of all where there are more than eight. */
  readonly files: string;
  readonly seed: number;
  readonly epoch: number;
  /** Place of the window in the order of the epoch. */
  readonly window: number;
  /** Rows already given from that window. */
  readonly row: number;
  /** Rows of the stream before it, which `skip` and `take` count. */
  readonly given: number;
}

const NAMED_FILES = 8;

export function filesHash(files: readonly SourceFile[]): string {
  if (files.length <= NAMED_FILES) return files.map(({ fingerprint }) => fingerprint.slice(0, 12)).join("-");
  const all = createHash("sha256");
  for (const { fingerprint } of files) all.update(fingerprint);
  return all.digest("hex").slice(0, 24);
}

/** Throws USAGE when the position is of another plan or seed, naming the file that changed where one did. */
export function checkPosition(
  from: Position,
  plan: string,
  files: readonly SourceFile[],
  seed: number,
): void {
  if (from.v !== 1) throw wrong("the position is of another version", String(from.v), "1");
  if (from.plan !== plan)
    throw wrong(
      "the position belongs to another dataset: source, filter, columns, window or shuffle differ",
      from.plan,
      plan,
    );
  if (from.seed !== seed)
    throw wrong("the position belongs to another seed", String(from.seed), String(seed));
  const now = filesHash(files);
  if (from.files !== now) {
    const before = from.files.split("-");
    const after = now.split("-");
    const changed =
      before.length === after.length ? files[after.findIndex((hash, i) => hash !== before[i])] : undefined;
    throw wrong(
      "a file changed since the position was taken",
      changed?.name ?? `${files.length} files`,
      "the same files, unchanged",
    );
  }
  for (const [name, value] of [
    ["epoch", from.epoch],
    ["window", from.window],
    ["row", from.row],
    ["given", from.given],
  ] as const)
    if (!Number.isSafeInteger(value) || value < 0)
      throw wrong(`the position's ${name} is no count`, String(value), "0 or more");
}

function wrong(problem: string, given: string, expected: string): TenonError {
  return new TenonError("USAGE", { problem, given, expected });
}
