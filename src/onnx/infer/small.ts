/** Small tensors whose values are followed through shape arithmetic: rank 0 or 1, at most 64 elements. */
import { dtypeInfo } from "../../tensor/core.js";
import type { Dim, TensorData } from "../graph.js";
import { readTensor } from "../tensor-data.js";

/** Items are numbers (of any sign, fractions for float dtypes, 0 and 1 for bool), expressions, or null. */
export interface Small {
  readonly rank: 0 | 1;
  readonly items: readonly Dim[];
}

export const MOST_ITEMS = 64;

/** The values of a weight when it is small enough; undefined for others, for strings and for bytes that are not there. */
export function smallOf(data: TensorData): Small | undefined {
  let value = read.get(data);
  if (value === undefined) {
    value = readSmall(data) ?? null;
    read.set(data, value);
  }
  return value ?? undefined;
}

/** Weights that were looked at: passes infer again and again, and weights hardly ever change. */
const read = new WeakMap<TensorData, Small | null>();

function readSmall(data: TensorData): Small | undefined {
  const { dims, dtype, payload } = data;
  if (dims.length > 1 || (dims[0] ?? 1) > MOST_ITEMS) return undefined;
  const { kind, bits } = dtypeInfo(dtype);
  if (kind === "string" || kind === "complex" || bits < 8 || (kind === "float" && bits < 16))
    return undefined;
  if (payload.in === "external" && payload.range === undefined) return undefined;
  const nested = readTensor(data).toArray();
  const list = Array.isArray(nested) ? nested : [nested];
  return { rank: dims.length as 0 | 1, items: list.map(Number) };
}

/** A small value when it is one. */
export function small(rank: number, items: readonly Dim[]): Small | undefined {
  if (rank > 1 || items.length > MOST_ITEMS || items.every((item) => item === null)) return undefined;
  return { rank: rank as 0 | 1, items };
}

/** The items when all of them are numbers. */
export function numbersOf(value: Small | undefined): number[] | undefined {
  return value?.items.every((item): item is number => typeof item === "number")
    ? [...(value.items as readonly number[])]
    : undefined;
}
