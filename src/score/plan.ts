/** The plan of a scoring job: written once, the identity of everything that follows from it. */
import { createHash } from "node:crypto";
import { link, open, readFile, unlink } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder, TenonError } from "../base/index.js";
import {
  canonicalJson,
  type SinkKind,
  type SplitRange,
  type TableKind,
  type TensorSpec,
  temporaryName,
  type Where,
} from "../data/index.js";
import type { OutputColumn } from "./scorer.js";

export type OnError = "quarantine" | "null" | "fail";

export interface PlannedFile {
  /** Path below the input root, with "/". */
  readonly name: string;
  readonly size: number;
  /** sha256 of the file's footer. */
  readonly contentSha256: string;
  /** Of a file behind a URL: the `ETag` or `Last-Modified` that its server gave. */
  readonly version?: string;
  /** sha256 of the whole file, where it is to be checked. */
  readonly sha256?: string;
}

/** What decides the result. No clock, host, absolute path or pid is in it. */
export interface PlanBody {
  readonly v: 1;
  readonly ort: string;
  readonly model: { readonly sha256: string; readonly inputs: unknown; readonly outputs: unknown };
  readonly input: {
    readonly kind: TableKind;
    readonly files: readonly PlannedFile[];
    readonly where: Where;
    readonly keep: readonly string[];
  };
  readonly tensors: Readonly<Record<string, TensorSpec>>;
  readonly run: {
    readonly batch: number;
    readonly fixed: boolean;
    readonly onError: OnError;
    readonly ep: readonly string[];
  };
  readonly output: {
    readonly kind: SinkKind;
    readonly rowGroup: number;
    readonly columns: readonly OutputColumn[];
  };
  readonly shards: readonly { readonly i: number; readonly splits: readonly SplitRange[] }[];
}

/** What the plan says of its making; not hashed. */
export interface PlanInfo {
  readonly tool: string;
  readonly node: string;
  readonly created: string;
  readonly modelPath: string;
  readonly inputRoot: string;
}

export interface ScorePlan extends PlanBody {
  /** sha256 of the canonical JSON of the body. */
  readonly hash: string;
  readonly info: PlanInfo;
}

export function planOf(body: PlanBody, info: PlanInfo): ScorePlan {
  return { ...body, hash: hashOf(body), info };
}

function hashOf(body: PlanBody): string {
  return createHash("sha256").update(canonicalJson(body)).digest("hex");
}

export const PLAN_FILE = "plan.json";

/** Writes the plan, unless the folder has one: then that one is given, which must be equal. `created` tells which. */
export async function writePlan(
  folder: string,
  plan: ScorePlan,
): Promise<{ readonly plan: ScorePlan; readonly created: boolean }> {
  try {
    await makeFolder(folder);
  } catch (cause) {
    throw new TenonError("USAGE", {
      problem: "the folder of the result cannot be made",
      given: folder,
      expected: "a folder that may be written to, or a name that nothing has",
      cause,
    });
  }
  const path = join(folder, PLAN_FILE);
  // A link is made whole or not at all, and not where there is a file: O_EXCL without a moment of half a plan.
  const temporary = join(folder, temporaryName(PLAN_FILE));
  const handle = await open(temporary, "wx");
  try {
    await handle.writeFile(`${JSON.stringify(plan, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  try {
    await link(temporary, path);
    return { plan, created: true };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    await unlink(temporary);
  }
  const existing = await readPlan(folder);
  if (existing.hash !== plan.hash) throw mismatch(path, existing, plan);
  return { plan: existing, created: false };
}

/** Reads and checks `DIR/plan.json`. Throws FILE_NOT_FOUND, FILE_INVALID. */
export async function readPlan(folder: string): Promise<ScorePlan> {
  const path = join(folder, PLAN_FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", {
      problem: "the folder has no plan",
      given: path,
      do: "plan the job first: tenon score … --plan-only",
      cause,
    });
  }
  let plan: ScorePlan;
  try {
    plan = JSON.parse(text) as ScorePlan; // its hash, checked next, vouches for its form
  } catch (cause) {
    throw new TenonError("FILE_INVALID", { problem: "the plan is no JSON", given: path, cause });
  }
  const { hash, info: _, ...body } = plan;
  if (plan.v !== 1 || hashOf(body) !== hash)
    throw new TenonError("FILE_INVALID", {
      problem: "the plan was changed, or is of another version: its hash is wrong",
      given: path,
    });
  return plan;
}

/** Names the first field, in the order of the plan, in which two plans differ. */
function mismatch(path: string, existing: ScorePlan, wanted: ScorePlan): TenonError {
  const field = firstDifference(existing, wanted, "") ?? "hash";
  return new TenonError("PLAN_MISMATCH", {
    problem: `the folder holds a job of another plan: they differ in ${field}`,
    given: path,
    expected: "an empty folder, or one with the same model, input and options",
    details: { field },
  });
}

function firstDifference(a: unknown, b: unknown, path: string): string | undefined {
  if (canonicalJson(a) === canonicalJson(b)) return undefined;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return path;
  const [first, second] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const key of new Set([...Object.keys(second), ...Object.keys(first)])) {
    if (path === "" && (key === "hash" || key === "info")) continue;
    const found = firstDifference(first[key], second[key], path === "" ? key : `${path}.${key}`);
    if (found !== undefined) return found;
  }
  return undefined;
}
