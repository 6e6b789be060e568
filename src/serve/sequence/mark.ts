/** SequenceMark: which sequence a request belongs to, and whether it is its first or its last. */
import { TenonError } from "../../base/index.js";
import { booleanParameter, type Parameters, unparsable } from "../oip/request-parameters.js";

export interface SequenceMark {
  readonly id: number | bigint | string;
  readonly start: boolean;
  readonly end: boolean;
}

const LONGEST_ID = 128;

/** What a request's parameters say; undefined for one that is in no sequence. Throws REQUEST_INVALID. */
export function sequenceMark(parameters: Parameters): SequenceMark | undefined {
  const id = parameters.get("sequence_id");
  if (id === undefined) return undefined;
  const isCount =
    typeof id === "bigint" ? id >= 0n && id < 1n << 64n : Number.isInteger(id) && Number(id) >= 0;
  if (typeof id === "boolean" || (typeof id !== "string" && !isCount)) {
    throw unparsable("sequence_id", "attempt to access JSON non-unsigned-integer as unsigned-integer");
  }
  if (typeof id === "string" && id.length > LONGEST_ID) {
    throw new TenonError("REQUEST_INVALID", {
      problem: `string correlation ID cannot be longer than ${LONGEST_ID} characters`,
    });
  }
  // 0 and the empty text are no sequence.
  if (id === "" || (Number(id) === 0 && typeof id !== "string")) return undefined;
  return {
    id,
    start: booleanParameter(parameters, "sequence_start") ?? false,
    end: booleanParameter(parameters, "sequence_end") ?? false,
  };
}
