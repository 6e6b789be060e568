/** Parameters of requests, inputs and outputs, and what is read of them. */
import { TenonError } from "../../base/index.js";

/** A parameter's value: integers beyond 2^53 are bigints. */
export type ParameterValue = boolean | number | bigint | string;
export type Parameters = ReadonlyMap<string, ParameterValue>;

/** A parameter that must be true or false where it is set. */
export function booleanParameter(parameters: Parameters, name: string): boolean | undefined {
  const value = parameters.get(name);
  if (value === undefined || typeof value === "boolean") return value;
  throw unparsable(name, "attempt to access JSON non-boolean as boolean");
}

/** A parameter that must be a non-negative integer where it is set. */
export function countParameter(parameters: Parameters, name: string): number | undefined {
  const value = parameters.get(name);
  if (value === undefined) return undefined;
  if (typeof value === "bigint" && value >= 0n && value < 1n << 64n) return Number(value);
  if (typeof value === "number" && Number.isInteger(value) && value >= 0) return value;
  throw unparsable(name, "attempt to access JSON non-unsigned-integer as unsigned-integer");
}

export function unparsable(key: string, problem: string): TenonError {
  return new TenonError("REQUEST_INVALID", { problem: `Unable to parse '${key}': ${problem}` });
}
