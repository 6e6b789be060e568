/** Names and marks of a job's files: parts, their error files, and how a finished part is known. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { isTenonError, TenonError } from "../base/index.js";
import { parquetInfo } from "../data/index.js";
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

/** The texts that a part carries. */
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
    ({ metadata } = await parquetInfo(path));
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

export async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  for await (const bytes of createReadStream(path, { highWaterMark: 2 ** 20 }))
    hash.update(bytes as Uint8Array);
  return hash.digest("hex");
}
