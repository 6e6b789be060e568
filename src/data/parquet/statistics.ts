/** Least and largest value and the nulls of a written column chunk, by which readers leave row groups out. */
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
  let least: number | bigint | undefined;
  let most: number | bigint | undefined;
  for (let i = 0; i < rows; i++) {
    if (valid !== null && valid[i] === 0) continue;
    const value = values[i]!;
    if (Number.isNaN(value)) return [count];
    if (least === undefined || value < least) least = value;
    if (most === undefined || value > most) most = value;
  }
  // Zeros are written so that both signs lie within: the format's own rule.
  if (dtype.startsWith("float")) {
    if (least === 0) least = -0;
    if (most === 0) most = 0;
  }
  return [count, [5, "binary", encode(dtype, most!)], [6, "binary", encode(dtype, least!)]];
}

function encode(dtype: string, value: number | bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(typeof value === "bigint" || dtype === "float64" ? 8 : 4));
  if (typeof value === "bigint") view.setBigUint64(0, BigInt.asUintN(64, value), true);
  else if (dtype === "float32") view.setFloat32(0, value, true);
  else if (dtype === "float64") view.setFloat64(0, value, true);
  else view.setInt32(0, value | 0, true);
  return new Uint8Array(view.buffer);
}
