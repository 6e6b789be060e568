/** Values of a column written into a tensor's storage at a stride: copied where types agree, converted with checks. */
import { TenonError } from "../base/index.js";
import {
  type DType,
  dtypeInfo,
  type NumericArray,
  numberToBfloat16,
  numberToFloat16,
} from "../tensor/index.js";
import type { Column, FixedColumn } from "./column.js";
import { numberReader, textNumberReader } from "./number.js";

/** What becomes of a null: an error that names column and row, NaN, or a number. */
export type Nulls = "error" | "nan" | number;

/** Rows of a column: `[from, to)` of `order`, or of the column itself where `order` is null. */
export interface Rows {
  readonly order: Uint32Array | null;
  readonly from: number;
  readonly to: number;
}

export interface Target {
  readonly dtype: DType;
  readonly values: NumericArray;
  /** Entry of the first row, and entries from row to row. */
  readonly at: number;
  readonly stride: number;
}

/** Writes one value per row. Throws TENSOR_VALUE with `details` `{ column, row }`: `row` counts in the column. */
export function writeRows(name: string, column: Column, rows: Rows, target: Target, nulls: Nulls): void {
  if (column.kind === "list") {
    throw new TenonError("TENSOR_DTYPE", {
      problem: `column "${name}" holds lists`,
      do: `take it by matrix("${name}", LENGTH)`,
    });
  }
  const whole = column.valid === null && column.kind === "fixed";
  if (whole && column.logical?.kind !== "decimal" && copied(column, rows, target)) return;
  checked(name, column, rows, target, nulls);
}

/** The ways that need no check of single values; false when there is none. */
function copied({ values, dtype }: FixedColumn, rows: Rows, target: Target): boolean {
  const { order, from, to } = rows;
  const { values: out, at, stride } = target;
  const count = to - from;
  if (dtype === target.dtype && stride === 1 && order === null) {
    // One dtype, hence one array type.
    (out as Float64Array).set(values.subarray(from, to) as Float64Array, at);
    return true;
  }
  if (out instanceof Float32Array && values instanceof Float32Array) {
    if (order === null) for (let i = 0, o = at; i < count; i++, o += stride) out[o] = values[from + i]!;
    else for (let i = 0, o = at; i < count; i++, o += stride) out[o] = values[order[from + i]!]!;
    return true;
  }
  if (dtype === target.dtype) {
    const [source, sink] = [values as Float64Array, out as Float64Array];
    for (let i = 0, o = at; i < count; i++, o += stride)
      sink[o] = source[order === null ? from + i : order[from + i]!]!;
    return true;
  }
  const floats = out instanceof Float32Array || out instanceof Float64Array;
  if (!floats || dtypeInfo(dtype).kind === "complex" || dtypeInfo(target.dtype).kind === "complex")
    return false;
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    const words = new Uint32Array(values.buffer, values.byteOffset, values.length * 2);
    const signed = values instanceof BigInt64Array;
    for (let i = 0, o = at; i < count; i++, o += stride) {
      const row = 2 * (order === null ? from + i : order[from + i]!);
      const high = words[row + 1]!;
      out[o] = (signed ? high | 0 : high) * 4294967296 + words[row]!;
    }
    return true;
  }
  if (dtypeInfo(dtype).bits < 32 && dtypeInfo(dtype).kind === "float") return false;
  for (let i = 0, o = at; i < count; i++, o += stride)
    out[o] = values[order === null ? from + i : order[from + i]!] as number;
  return true;
}

function checked(
  name: string,
  column: Exclude<Column, { kind: "list" }>,
  rows: Rows,
  target: Target,
  nulls: Nulls,
): void {
  const read = column.kind === "fixed" ? numberReader(column) : textNumberReader(name, column);
  const write = writer(target.dtype, target.values);
  const { valid } = column;
  for (let i = rows.from, o = target.at; i < rows.to; i++, o += target.stride) {
    const row = rows.order === null ? i : rows.order[i]!;
    if (valid !== null && valid[row] === 0) {
      if (nulls === "error") {
        throw new TenonError("TENSOR_VALUE", {
          problem: `column "${name}" has a null`,
          given: `row ${row}`,
          do: 'set nulls: "nan" or a number, or drop such rows by where: { isNull: false }',
          details: { column: name, row },
        });
      }
      if (!write(o, nulls === "nan" ? Number.NaN : nulls)) refuse(name, row, String(nulls), target.dtype);
      continue;
    }
    const value = read(row);
    if (!write(o, value)) refuse(name, row, String(value), target.dtype);
  }
}

function refuse(name: string, row: number, value: string, dtype: DType): never {
  throw new TenonError("TENSOR_VALUE", {
    problem: `a value of column "${name}" does not fit ${dtype}`,
    given: `${value.slice(0, 80)} in row ${row}`,
    expected: `a ${dtype}`,
    details: { column: name, row },
  });
}

/** Stores a number at an entry; false when the dtype cannot hold it. */
type Write = (at: number, value: number | bigint) => boolean;

function writer(dtype: DType, values: NumericArray): Write {
  const { kind, bits } = dtypeInfo(dtype);
  if (values instanceof BigInt64Array || values instanceof BigUint64Array) {
    const [low, high] = kind === "int" ? [-(2n ** 63n), 2n ** 63n - 1n] : [0n, 2n ** 64n - 1n];
    return (at, value) => {
      if (typeof value === "number" && !Number.isInteger(value)) return false;
      const whole = BigInt(value);
      if (whole < low || whole > high) return false;
      values[at] = whole;
      return true;
    };
  }
  if (kind === "float" && bits >= 32) return (at, value) => store(values, at, Number(value));
  if (dtype === "float16") return (at, value) => store(values, at, numberToFloat16(Number(value)));
  if (dtype === "bfloat16") return (at, value) => store(values, at, numberToBfloat16(Number(value)));
  if (bits >= 8 && (kind === "int" || kind === "uint" || kind === "bool")) {
    const [low, high] =
      kind === "bool"
        ? [0, 1]
        : kind === "int"
          ? [-(2 ** (bits - 1)), 2 ** (bits - 1) - 1]
          : [0, 2 ** bits - 1];
    return (at, value) => {
      const number = Number(value);
      if (!Number.isInteger(number) || number < low || number > high) return false;
      return store(values, at, number);
    };
  }
  throw new TenonError("TENSOR_DTYPE", { problem: `columns do not become tensors of dtype ${dtype}` });
}

function store(values: NumericArray, at: number, value: number): true {
  (values as Float64Array)[at] = value;
  return true;
}
