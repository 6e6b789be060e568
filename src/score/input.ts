/** The table of a job: its files opened by paths or URLs below a root, and checked against the plan. */
import { join, relative, sep } from "node:path";
import { TenonError } from "../base/index.js";
import {
  type Dataset,
  type Inspection,
  isUrl,
  type RemoteOptions,
  sha256OfFile,
  table,
  withoutQuery,
} from "../data/index.js";
import type { PlannedFile, ScorePlan } from "./plan.js";

/** Where the files of a plan lie for this process. */
export interface InputPlace {
  /** Folder, or URL of one. */
  readonly inputRoot: string;
  /** The files of the plan in their order, where root and names do not tell them: URLs with a query. */
  readonly inputPaths?: readonly string[];
  /** How URLs are asked for. */
  readonly remote?: RemoteOptions;
}

/** The deepest folder that holds all files, and their paths below it. Throws USAGE where URLs have no common host. */
export function belowRoot(paths: readonly string[]): { root: string; names: string[] } {
  const urls = paths.filter(isUrl);
  if (urls.length > 0) return belowUrl(paths, urls);
  const depth = commonDepth(paths.map((path) => path.split(sep)));
  const root =
    (paths[0] ?? "").split(sep).slice(0, depth).join(sep) || (paths[0]?.startsWith(sep) === true ? sep : ".");
  return { root, names: paths.map((path) => relative(root, path).split(sep).join("/")) };
}

/** `https:`, nothing, and the host: what URLs have in front of their paths. */
const ORIGIN_PARTS = 3;

function belowUrl(paths: readonly string[], urls: readonly string[]): { root: string; names: string[] } {
  const parts = paths.map((path) => path.split("/"));
  const depth = commonDepth(parts);
  if (urls.length < paths.length || depth < ORIGIN_PARTS)
    throw new TenonError("USAGE", {
      problem: "the inputs of a job lie in different places",
      given: [urls[0]!, paths.find((path) => path !== urls[0]!)!].map(withoutQuery).join(" and "),
      expected: "files, or URLs of one host or bucket",
      do: "score them in jobs of their own",
    });
  return {
    root: parts[0]!.slice(0, depth).join("/"),
    names: parts.map((each) => each.slice(depth).join("/")),
  };
}

/** How many parts all paths have in common, their last ones left out. */
function commonDepth(parts: readonly (readonly string[])[]): number {
  const [first = []] = parts;
  let depth = 0;
  while (
    depth < first.length - 1 &&
    parts.every((each) => each.length - 1 > depth && each[depth] === first[depth])
  )
    depth++;
  return depth;
}

/** Throws PLAN_MISMATCH when a file is not the one that was planned. */
async function checkFiles(
  planned: readonly PlannedFile[],
  { files }: Inspection,
  paths: readonly string[],
  remote: RemoteOptions | undefined,
): Promise<void> {
  for (const [i, file] of planned.entries()) {
    const found = files[i];
    if (
      found !== undefined &&
      found.size === file.size &&
      found.contentHash === file.contentSha256 &&
      // A copy on disk has no version.
      (file.version === undefined || found.version === undefined || found.version === file.version) &&
      (file.sha256 === undefined || file.sha256 === (await sha256OfFile(paths[i]!, remote)))
    )
      continue;
    throw new TenonError("PLAN_MISMATCH", {
      problem: "an input file changed since the job was planned",
      given: found?.name ?? file.name,
      do: "score into another folder",
    });
  }
}

/** The plan's input, with its files checked. */
export async function plannedInput(plan: ScorePlan, place: InputPlace): Promise<Dataset> {
  const { inputRoot, remote } = place;
  const paths =
    place.inputPaths ??
    plan.input.files.map(({ name }) =>
      isUrl(inputRoot) ? `${inputRoot.replace(/\/$/, "")}/${name}` : join(inputRoot, ...name.split("/")),
    );
  const input = table(plan.input.kind, paths, remote);
  await checkFiles(plan.input.files, await input.inspect(), paths, remote);
  return input;
}
