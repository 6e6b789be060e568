/** What a sink takes: columns, tensors, typed arrays and texts, made into columns of one schema. */
import { TenonError } from "../../base/index.js";
import {
  type DType,
  dtypeInfo,
  isDType,
  type NumericArray,
  StringStorage,
  Tensor,
} from "../../tensor/index.js";
import { type Column, type FieldType, logicalOf, printType, sameLogical, typeOf } from "../column.js";

/** One column of a record of rows. */
export type Cells = Column | Tensor | NumericArray | readonly (string | null)[];

/** Rows by column name; all of one length. */
export type Table = Readonly<Record<string, Cells>>;

export interface Rows {
  readonly rows: number;
  readonly columns: ReadonlyMap<string, Column>;
}

/** Throws TENSOR_SHAPE when the columns differ in length. */
export function columnsOf(table: Table): Rows {
  const columns = new Map<string, Column>();
  let rows: number | undefined;
  for (const [name, cells] of Object.entries(table)) {
    const { column, count } = columnOf(name, cells);
    if (rows !== undefined && rows !== count) {
      throw new TenonError("TENSOR_SHAPE", {
        problem: `column "${name}" has another number of rows`,
        given: String(count),
        expected: String(rows),
      });
    }
    rows = count;
    columns.set(name, column);
  }
  return { rows: rows ?? 0, columns };
}

function columnOf(name: string, cells: Cells): { column: Column; count: number } {
  if (cells instanceof Tensor) return tensorColumn(name, cells);
  if (ArrayBuffer.isView(cells))
    return {
      column: { kind: "fixed", dtype: dtypeOf(name, cells), values: cells, valid: null },
      count: cells.length,
    };
  if (Array.isArray(cells)) {
    const texts = cells as readonly (string | null)[];
    const other = texts.find((text) => text !== null && typeof text !== "string");
    if (other !== undefined || texts.includes(undefined as never))
      throw unfit(name, `an array with ${typeof other}`);
    return { column: textColumn(texts), count: texts.length };
  }
  const column = cells as Column; // the other members of Cells are gone
  return { column, count: column.kind === "fixed" ? column.values.length : column.offsets.length - 1 };
}

function unfit(name: string, given: string): TenonError {
  return new TenonError("TENSOR_DTYPE", {
    problem: `column "${name}" cannot be made of this`,
    given,
    expected:
      "a typed array of numbers, a tensor of them or of texts, a column, or an array of texts and nulls",
  });
}

function dtypeOf(name: string, values: NumericArray): DType {
  const array = values[Symbol.toStringTag];
  const dtype = array.replace("Array", "").replace("Big", "").replace("Clamped", "").toLowerCase();
  // Columns hold half floats as bit patterns, which a Float16Array gives as numbers.
  if (isDType(dtype) && dtype !== "float16") return dtype;
  throw unfit(name, array);
}

/** `[rows]` and `[rows, 1]` become a column of numbers, `[rows, …]` one of lists. The values are a view. */
export function tensorColumn(name: string, given: Tensor): { column: Column; count: number } {
  const tensor = given.isDense ? given : given.contiguous();
  const rows = tensor.shape[0];
  if (rows === undefined)
    throw new TenonError("TENSOR_SHAPE", {
      problem: `the tensor "${name}" has no rows`,
      given: "a scalar",
      expected: "[rows, …]",
    });
  const width = rows === 0 ? tensor.shape.slice(1).reduce((a, b) => a * b, 1) : tensor.size / rows;
  let column: Column;
  if (tensor.dtype === "string") {
    const { bytes, offsets } = StringStorage.fromStrings(tensor.data as unknown as string[]).encoded();
    column = {
      kind: "utf8",
      dtype: "utf8",
      bytes,
      offsets: new Int32Array(offsets.buffer, offsets.byteOffset, offsets.length),
      valid: null,
    };
  } else if (dtypeInfo(tensor.dtype).kind === "complex" || dtypeInfo(tensor.dtype).bits < 8)
    throw unfit(name, `a tensor of ${tensor.dtype}`);
  else
    column = {
      kind: "fixed",
      dtype: tensor.dtype,
      values: tensor.data as unknown as NumericArray,
      valid: null,
    };
  if (tensor.rank === 1 || (tensor.rank === 2 && width === 1)) return { column, count: rows };
  const offsets = new Int32Array(rows + 1);
  for (let i = 0; i <= rows; i++) offsets[i] = i * width;
  return { column: { kind: "list", offsets, child: column, valid: null }, count: rows };
}

export function textColumn(texts: readonly (string | null)[]): Column {
  const parts = texts.map((text) => Buffer.from(text ?? ""));
  const offsets = new Int32Array(texts.length + 1);
  parts.forEach((part, i) => {
    offsets[i + 1] = offsets[i]! + part.length;
  });
  const valid = texts.includes(null) ? Uint8Array.from(texts, (text) => (text === null ? 0 : 1)) : null;
  return { kind: "utf8", dtype: "utf8", bytes: Buffer.concat(parts), offsets, valid };
}

/** The schema of columns, where none was given: every column may hold nulls. */
export function fieldsOf(columns: ReadonlyMap<string, Column>): Map<string, FieldType> {
  const fields = new Map<string, FieldType>();
  for (const [name, column] of columns)
    fields.set(name, { dtype: typeOf(column), nullable: true, logical: logicalOf(column) });
  return fields;
}

/** Throws USAGE or TENSOR_DTYPE unless the columns are those of the file. */
export function checkColumns(
  columns: ReadonlyMap<string, Column>,
  fields: ReadonlyMap<string, FieldType>,
): void {
  for (const name of columns.keys())
    if (!fields.has(name))
      throw new TenonError("USAGE", {
        problem: `the rows have a column "${name}" that the file does not have`,
      });
  for (const [name, field] of fields) {
    const column = columns.get(name);
    if (column === undefined) throw new TenonError("USAGE", { problem: `the rows lack column "${name}"` });
    const logical = logicalOf(column);
    // Numbers without a meaning take that of the file.
    const differ = logical !== undefined && !sameLogical(logical, field.logical);
    if (printType(typeOf(column)) === printType(field.dtype) && !differ) continue;
    const shown = (meaning: unknown): string => (differ ? ` ${JSON.stringify(meaning ?? "a number")}` : "");
    throw new TenonError("TENSOR_DTYPE", {
      problem: `the rows have another type of column "${name}" than the file`,
      given: printType(typeOf(column)) + shown(logical),
      expected: printType(field.dtype) + shown(field.logical),
    });
  }
}
