/** Names and marks of a job's files: parts, their error files, and how a finished part is known. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { access, readFile } from "node:fs/promises";
import { join } from "node:path";
import { isTenonError, TenonError } from "../base/index.js";
import { parquetInfo, SINK_FORMATS } from "../data/index.js";
import type { ScorePlan } from "./plan.js";

export interface FinishedPart {
  readonly shard: number;
  readonly name: string;
  readonly rows: number;
  readonly quarantined: number;
  readonly sha256?: string;
}

function number(shard: number): string {
  return String(shard).padStart(5, "0");
}

export function partName(plan: ScorePlan, shard: number): string {
  return `part-${number(shard)}.${plan.output.kind}`;
}

export function errorsName(shard: number): string {
  return `errors-${number(shard)}.jsonl`;
}

/** The file that tells of a part whose format has no place for it. */
export function markName(shard: number): string {
  return `.part-${number(shard)}.json`;
}

/** The texts that a part carries, or its mark holds. */
export function partMetadata(
  plan: ScorePlan,
  shard: number,
  rows: number,
  quarantined: number,
): Record<string, string> {
  return {
    "tenon.plan": plan.hash,
    "tenon.shard": String(shard),
    "tenon.rows": String(rows),
    "tenon.quarantined": String(quarantined),
  };
}

/** The part of a shard where it is there and belongs to this plan. Throws PLAN_MISMATCH for a file of another plan. */
export async function finishedPart(
  folder: string,
  plan: ScorePlan,
  shard: number,
): Promise<FinishedPart | undefined> {
  const name = partName(plan, shard);
  const path = join(folder, name);
  let metadata: ReadonlyMap<string, string>;
  try {
    metadata = await metadataOf(plan, folder, path, shard);
  } catch (error) {
    if (isTenonError(error, "FILE_NOT_FOUND")) return undefined;
    throw error;
  }
  if (metadata.get("tenon.plan") !== plan.hash || metadata.get("tenon.shard") !== String(shard))
    throw new TenonError("PLAN_MISMATCH", {
      problem: "a part belongs to another job",
      given: path,
      do: "score into another folder",
    });
  return {
    shard,
    name,
    rows: Number(metadata.get("tenon.rows")),
    quarantined: Number(metadata.get("tenon.quarantined")),
  };
}

async function metadataOf(
  plan: ScorePlan,
  folder: string,
  path: string,
  shard: number,
): Promise<ReadonlyMap<string, string>> {
  if (SINK_FORMATS[plan.output.kind].metadata) return (await parquetInfo(path)).metadata;
  try {
    await access(path);
  } catch (cause) {
    throw new TenonError("FILE_NOT_FOUND", { given: path, cause });
  }
  try {
    // Written before the part; the caller compares what it says.
    return new Map(
      Object.entries(JSON.parse(await readFile(join(folder, markName(shard)), "utf8")) as object),
    );
  } catch (cause) {
    throw new TenonError("PLAN_MISMATCH", {
      problem: "a part is there of which nothing tells the job",
      given: path,
      do: "score into another folder",
      cause,
    });
  }
}

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(path, { highWaterMark: 2 ** 20 }))
    hash.update(bytes as Uint8Array);
  return hash.digest("hex");
}
