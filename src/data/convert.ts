/** Values of a column written into a tensor's storage at a stride: copied where types agree, converted with checks. */
import { TenonError } from "../base/index.js";
import {
  type DType,
  dtypeInfo,
  type Element,
  elementPhrase,
  type NumericArray,
  tryWriteElement,
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
  let overflows = false;
  for (let i = 0, o = at; i < count; i++, o += stride) {
    const value = values[order === null ? from + i : order[from + i]!] as number;
    out[o] = value;
    overflows ||= Math.abs(out[o]!) === Number.POSITIVE_INFINITY && Number.isFinite(value);
  }
  return !overflows; // the checked way finds the row
}

function checked(
  name: string,
  column: Exclude<Column, { kind: "list" }>,
  rows: Rows,
  target: Target,
  nulls: Nulls,
): void {
  const read = column.kind === "fixed" ? numberReader(column) : textNumberReader(name, column);
  const element = elementOf(target.dtype);
  const write = (at: number, value: number | bigint): boolean =>
    tryWriteElement(target.dtype, target.values, at, element(value));
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
    expected: elementPhrase(dtype),
    details: { column: name, row },
  });
}

/** What a number is as an element of `dtype`: the dtype's own check decides on the rest. Throws TENSOR_DTYPE. */
export function elementOf(dtype: DType): (value: number | bigint) => Element {
  const { kind } = dtypeInfo(dtype);
  if (kind === "float") return Number;
  if (kind === "bool") return (value) => (Number(value) === 0 ? false : Number(value) === 1 ? true : value);
  // A whole number beyond 2^53 is taken for what it is.
  if (kind === "int" || kind === "uint") return (value) => (Number.isInteger(value) ? BigInt(value) : value);
  throw new TenonError("TENSOR_DTYPE", { problem: `columns do not become tensors of dtype ${dtype}` });
}
