/** The table of a job: its files opened by paths below a root, and checked against the plan. */
import { join, relative, sep } from "node:path";
import { TenonError } from "../base/index.js";
import { type Dataset, type Inspection, table } from "../data/index.js";
import { sha256Of } from "./part.js";
import type { PlannedFile, ScorePlan } from "./plan.js";

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
async function checkFiles(planned: readonly PlannedFile[], { files }: Inspection): Promise<void> {
  for (const [i, file] of planned.entries()) {
    const found = files[i];
    if (
      found !== undefined &&
      found.size === file.size &&
      found.contentHash === file.contentSha256 &&
      (file.sha256 === undefined || file.sha256 === (await sha256Of(found.name)))
    )
      continue;
    throw new TenonError("PLAN_MISMATCH", {
      problem: "an input file changed since the job was planned",
      given: found?.name ?? file.name,
      do: "score into another folder",
    });
  }
}

/** The plan's input under `root`, with its files checked. */
export async function plannedInput(plan: ScorePlan, root: string): Promise<Dataset> {
  const paths = plan.input.files.map(({ name }) => join(root, ...name.split("/")));
  const input = table(plan.input.kind, paths);
  await checkFiles(plan.input.files, await input.inspect());
  return input;
}
