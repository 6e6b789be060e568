/** The table of a job: its files opened by paths below a root, and checked against the plan. */
import { join, relative, sep } from "node:path";
import { TenonError } from "../base/index.js";
import { type Dataset, type Inspection, parquet } from "../data/index.js";
import type { InputKind, PlannedFile, ScorePlan } from "./plan.js";

export function openInput(kind: InputKind, paths: readonly string[]): Dataset {
  switch (kind) {
    case "parquet":
      return parquet(paths);
    default:
      throw new TenonError("USAGE", { problem: `input of kind ${kind} is not read yet` });
  }
}

const KINDS: readonly [RegExp, InputKind][] = [
  [/\.(parquet|pq|parq)$/i, "parquet"],
  [/\.(csv|tsv)(\.gz)?$/i, "csv"],
  [/\.(jsonl|ndjson)(\.gz)?$/i, "jsonl"],
];

/** Told by the ending of the paths; throws USAGE when they differ or none is known. */
export function inputKind(paths: readonly string[]): InputKind {
  const kinds = new Set(paths.map((path) => KINDS.find(([pattern]) => pattern.test(path))?.[1]));
  const [kind] = kinds;
  if (kinds.size === 1 && kind !== undefined) return kind;
  throw new TenonError("USAGE", {
    problem:
      kinds.size > 1 ? "the inputs are of several kinds" : "the input's kind cannot be told by its name",
    given: paths.slice(0, 3).join(", "),
    expected: "files that all end in .parquet, .csv or .jsonl",
  });
}

/** The deepest folder that holds all files, and their paths below it. */
export function belowRoot(paths: readonly string[]): { root: string; names: string[] } {
  const parts = paths.map((path) => path.split(sep));
  let depth = 0;
  const first = parts[0] ?? [];
  while (
    depth < first.length - 1 &&
    parts.every((each) => each.length - 1 > depth && each[depth] === first[depth])
  )
    depth++;
  const root = first.slice(0, depth).join(sep) || (paths[0]?.startsWith(sep) === true ? sep : ".");
  return { root, names: paths.map((path) => relative(root, path).split(sep).join("/")) };
}

/** Throws PLAN_MISMATCH when a file is not the one that was planned. */
function checkFiles(planned: readonly PlannedFile[], { files }: Inspection): void {
  planned.forEach((file, i) => {
    const found = files[i];
    if (found !== undefined && found.size === file.size && found.contentHash === file.contentSha256) return;
    throw new TenonError("PLAN_MISMATCH", {
      problem: "an input file changed since the job was planned",
      given: found?.name ?? file.name,
      do: "score into another folder",
    });
  });
}

/** The plan's input under `root`, with its files checked. */
export async function plannedInput(plan: ScorePlan, root: string): Promise<Dataset> {
  const paths = plan.input.files.map(({ name }) => join(root, ...name.split("/")));
  const input = openInput(plan.input.kind, paths);
  checkFiles(plan.input.files, await input.inspect());
  return input;
}
