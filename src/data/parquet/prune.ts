/** Whether a row group can hold values within bounds, told by the statistics of its column chunk. */
import type { ChunkStatistics } from "./footer.js";
import type { Leaf } from "./leaf.js";

type Bound = number | bigint | string | null;

/** True unless the statistics prove that no value lies in `[low, high]`; types without a sure order are kept. */
export function mayHold(leaf: Leaf, { min, max }: ChunkStatistics, low: Bound, high: Bound): boolean {
  if (leaf.lists.length > 0 || leaf.value.kind !== "fixed" || leaf.value.logical !== undefined) return true;
  const least = min === undefined ? undefined : decode(leaf, min);
  const most = max === undefined ? undefined : decode(leaf, max);
  if (low !== null && typeof low !== "string" && most !== undefined && low > most) return false;
  return !(high !== null && typeof high !== "string" && least !== undefined && high < least);
}

function decode(leaf: Leaf, bytes: Uint8Array): number | bigint | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const { physical, value } = leaf;
  const unsigned = value.kind === "fixed" && value.dtype.startsWith("uint");
  if (physical === "FLOAT" && bytes.length === 4) return ordered(view.getFloat32(0, true));
  if (physical === "DOUBLE" && bytes.length === 8) return ordered(view.getFloat64(0, true));
  if (physical === "INT32" && bytes.length === 4)
    return unsigned ? view.getUint32(0, true) : view.getInt32(0, true);
  if (physical === "INT64" && bytes.length === 8)
    return unsigned ? view.getBigUint64(0, true) : view.getBigInt64(0, true);
  return undefined;
}

/** NaN tells nothing. */
function ordered(value: number): number | undefined {
  return Number.isNaN(value) ? undefined : value;
}
