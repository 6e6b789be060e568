/** Requests between their submission and their answer, and the batches that they form. */
import type { TenonError } from "../base/index.js";
import type { Tensor } from "../tensor/index.js";
import type { ExplicitRequest } from "./explicit-queue.js";
import type { Batch, Member } from "./lane.js";
import type { Outputs } from "./outputs.js";
import { type Padding, padTensor } from "./padding.js";
import type { RunLane } from "./session.js";

/** A request on its way, with its ways out. */
export interface Pending extends ExplicitRequest {
  /** A lease's own lane; such a request runs alone. */
  readonly lane: RunLane | undefined;
  readonly resolve: (outputs: Outputs) => void;
  readonly reject: (error: TenonError) => void;
  readonly signal: AbortSignal | undefined;
  /** Requests with equal keys can share a batch. */
  batchKey: string;
  /** Size along the dim that is filled up; undefined where only equal shapes share a batch. */
  length: number | undefined;
  state: "queued" | "running" | "done";
  run: Running | undefined;
  timer: NodeJS.Timeout | undefined;
  onAbort: (() => void) | undefined;
}

/** Requests in one run. */
export interface Running {
  readonly members: readonly Pending[];
  readonly lane: RunLane;
  /** Members that still want an answer. */
  wanted: number;
}

/** The batch of `members`, filled up to the longest of them; `shrink`: the run gives the arena's memory back. */
export function batchOf(members: readonly Pending[], padding: Padding | undefined, shrink: boolean): Batch {
  let rows = 0;
  for (const member of members) rows += member.member.rows;
  const filled = filledTo(members);
  const each = members.map(({ member }): Member => {
    if (filled === undefined) return member;
    const inputs = member.inputs.map((tensor, i) => padTensor(tensor, padding!.inputs![i]!, filled));
    return { ...member, inputs };
  });
  return { members: each, rows, outputs: members[0]!.outputs, shrink };
}

/** Whether each output has a row for each row of the members. */
export function hasRows(outputs: readonly Tensor[], members: readonly Pending[]): boolean {
  let rows = 0;
  for (const member of members) rows += member.member.rows;
  return outputs.every((tensor) => tensor.shape[0] === rows);
}

/** The length that members of different lengths are filled up to; undefined where all have the same shape. */
export function filledTo(members: readonly Pending[]): number | undefined {
  const first = members[0]!.length;
  let most = first ?? 0;
  let differ = false;
  for (const { length } of members) {
    if (length === undefined) return undefined;
    if (length !== first) differ = true;
    if (length > most) most = length;
  }
  return differ ? most : undefined;
}

/** Lengths with padding over lengths without. */
export function padRatio(members: readonly Pending[]): number {
  const filled = filledTo(members);
  if (filled === undefined) return 1;
  let own = 0;
  let all = 0;
  for (const { length, member } of members) {
    own += length! * member.rows;
    all += filled * member.rows;
  }
  return all / own;
}
