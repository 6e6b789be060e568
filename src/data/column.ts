/** Column: rows of one name in Arrow's layout, the form in which engines hand data on; nothing is boxed. */
import { TenonError } from "../base/index.js";
import type { DType, NumericArray } from "../tensor/index.js";

/** Element type of a column: a dtype of tensors, text, bytes, or lists of one of them. */
export type ColumnType = DType | "utf8" | "binary" | { readonly list: ColumnType };

/** What the stored numbers mean, where it is more than a number. */
export type Logical =
  | { readonly kind: "timestamp"; readonly unit: TimeUnit; readonly utc: boolean }
  | { readonly kind: "time"; readonly unit: TimeUnit }
  | { readonly kind: "date" }
  | { readonly kind: "decimal"; readonly precision: number; readonly scale: number };

export type TimeUnit = "ms" | "us" | "ns";

export interface FieldType {
  readonly dtype: ColumnType;
  readonly nullable: boolean;
  readonly logical?: Logical | undefined;
}

/** Column names in the order of the file, with their types. */
export type Schema = ReadonlyMap<string, FieldType>;

/** `valid` has one byte per row: 1 for a value, 0 for a null; null when every row has a value. */
export type Column = FixedColumn | TextColumn | ListColumn;

export interface FixedColumn {
  readonly kind: "fixed";
  readonly dtype: DType;
  /** At least as long as the column has rows; what lies under a null is zero. float16 and bfloat16 are bit patterns. */
  readonly values: NumericArray;
  readonly valid: Uint8Array | null;
  readonly logical?: Logical | undefined;
}

export interface TextColumn {
  readonly kind: "utf8";
  readonly dtype: "utf8" | "binary";
  /** Row i is `bytes[offsets[i], offsets[i + 1])`. */
  readonly bytes: Uint8Array;
  readonly offsets: Int32Array;
  readonly valid: Uint8Array | null;
  readonly logical?: Logical | undefined;
}

export interface ListColumn {
  readonly kind: "list";
  /** Row i holds the elements `[offsets[i], offsets[i + 1])` of `child`. */
  readonly offsets: Int32Array;
  readonly child: Column;
  readonly valid: Uint8Array | null;
}

export type Columns = Readonly<Record<string, Column>>;

/** The type that a column's rows have. */
export function typeOf(column: Column): ColumnType {
  return column.kind === "list" ? { list: typeOf(column.child) } : column.dtype;
}

/** `list<float32>`: a type as messages print it. */
export function printType(type: ColumnType): string {
  return typeof type === "string" ? type : `list<${printType(type.list)}>`;
}

/** What a column's numbers mean; of lists, what their elements do. */
export function logicalOf(column: Column): Logical | undefined {
  return column.kind === "list" ? logicalOf(column.child) : column.logical;
}

export function sameLogical(a: Logical | undefined, b: Logical | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Rows `[from, to)` of a text column as strings; nulls become null. Throws TENSOR_VALUE for bytes that are not UTF-8. */
export function columnStrings(column: TextColumn, from: number, to: number): (string | null)[] {
  const { bytes, offsets, valid } = column;
  const start = offsets[from]!;
  const block = Buffer.from(bytes.buffer, bytes.byteOffset + start, offsets[to]! - start);
  const result = new Array<string | null>(to - from);
  if (isAscii(block)) {
    const text = block.toString("latin1");
    for (let i = from; i < to; i++)
      result[i - from] = text.substring(offsets[i]! - start, offsets[i + 1]! - start);
  } else {
    for (let i = from; i < to; i++)
      result[i - from] = decodeText(bytes.subarray(offsets[i]!, offsets[i + 1]!));
  }
  if (valid !== null) for (let i = from; i < to; i++) if (valid[i] === 0) result[i - from] = null;
  return result;
}

function isAscii(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return false;
  return true;
}

export function decodeText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new TenonError("TENSOR_VALUE", { problem: "a text is not valid UTF-8", cause });
  }
}

/** One row as a JavaScript value: number, bigint, boolean, string, bytes, array or null; for printing and tests. */
export function columnValue(column: Column, row: number): unknown {
  if (column.valid !== null && column.valid[row] === 0) return null;
  if (column.kind === "fixed") {
    const value = column.values[row]!;
    return column.dtype === "bool" ? value !== 0 : value;
  }
  const [start, end] = [column.offsets[row]!, column.offsets[row + 1]!];
  if (column.kind === "list")
    return Array.from({ length: end - start }, (_, i) => columnValue(column.child, start + i));
  const bytes = column.bytes.subarray(start, end);
  return column.dtype === "utf8" ? decodeText(bytes) : bytes;
}
