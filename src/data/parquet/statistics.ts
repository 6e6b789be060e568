/** Least and largest value and the nulls of a written column chunk, by which readers leave row groups out. */
import type { NumericArray } from "../../tensor/index.js";
import type { Column } from "../column.js";
import type { ThriftField } from "./thrift.js";

/** Fields of `Statistics`; undefined where there is no order to tell of: texts, lists, halves, and NaN among floats. */
export function columnStatistics(column: Column, rows: number): readonly ThriftField[] | undefined {
  if (column.kind !== "fixed") return undefined;
  const { values, valid, dtype } = column;
  let nulls = 0;
  if (valid !== null) for (let i = 0; i < rows; i++) nulls += 1 - valid[i]!;
  const count: ThriftField = [3, "i64", nulls];
  if (dtype === "bool" || dtype === "float16" || dtype === "bfloat16" || nulls === rows) return [count];
  const found =
    values instanceof BigInt64Array || values instanceof BigUint64Array
      ? wideExtremes(values, valid, rows)
      : extremes(values, valid, rows);
  if (found === undefined) return [count];
  let [least, most] = found;
  // Zeros are written so that both signs lie within: the format's own rule.
  if (dtype.startsWith("float")) {
    if (least === 0) least = -0;
    if (most === 0) most = 0;
  }
  return [count, [5, "binary", encode(dtype, most)], [6, "binary", encode(dtype, least)]];
}

/** The least and the largest value of a column that is not all null; undefined where one is NaN. */
function extremes(
  values: Exclude<NumericArray, BigInt64Array | BigUint64Array>,
  valid: Uint8Array | null,
  rows: number,
): [number, number] | undefined {
  let least = Number.POSITIVE_INFINITY;
  let most = Number.NEGATIVE_INFINITY;
  let numbers = true;
  for (let i = 0; i < rows; i++) {
    if (valid !== null && valid[i] === 0) continue;
    const value = values[i]!;
    if (value < least) least = value;
    if (value > most) most = value;
    if (Number.isNaN(value)) numbers = false;
  }
  return numbers ? [least, most] : undefined;
}

/** The same of 64-bit integers, by their halves: a bigint for each value would be an object for each. */
function wideExtremes(
  values: BigInt64Array | BigUint64Array,
  valid: Uint8Array | null,
  rows: number,
): [bigint, bigint] {
  const words = new Int32Array(values.buffer, values.byteOffset, 2 * rows);
  // Unsigned words with their highest bit turned are in the order of signed ones.
  const turn = 0x8000_0000 | 0;
  const turnHigh = values instanceof BigInt64Array ? 0 : turn;
  let least = -1;
  let leastHigh = 0;
  let leastLow = 0;
  let most = -1;
  let mostHigh = 0;
  let mostLow = 0;
  for (let i = 0; i < rows; i++) {
    if (valid !== null && valid[i] === 0) continue;
    const high = words[2 * i + 1]! ^ turnHigh;
    const low = words[2 * i]! ^ turn;
    if (least < 0 || high < leastHigh || (high === leastHigh && low < leastLow)) {
      least = i;
      leastHigh = high;
      leastLow = low;
    }
    if (most < 0 || high > mostHigh || (high === mostHigh && low > mostLow)) {
      most = i;
      mostHigh = high;
      mostLow = low;
    }
  }
  return [values[least]!, values[most]!];
}

function encode(dtype: string, value: number | bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(typeof value === "bigint" || dtype === "float64" ? 8 : 4));
  if (typeof value === "bigint") view.setBigUint64(0, BigInt.asUintN(64, value), true);
  else if (dtype === "float32") view.setFloat32(0, value, true);
  else if (dtype === "float64") view.setFloat64(0, value, true);
  else view.setInt32(0, value | 0, true);
  return new Uint8Array(view.buffer);
}
