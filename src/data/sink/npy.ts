/** The sink of .npy: one column of numbers, or of lists of one length, as an array of numpy. */
import { TenonError } from "../../base/index.js";
import { type DType, dtypeInfo, npyHeader } from "../../tensor/index.js";
import { type Column, printType, type Schema } from "../column.js";
import type { Format } from "./sink.js";
import { columnsOf, type Table } from "./table.js";

/** Room for the header, whose length must not depend on the number of rows. */
const HEADER_BYTES = 128;

/** Type and shape of one row. */
interface RowType {
  readonly dtype: DType;
  /** Elements of a list; null: the rows are numbers. */
  readonly width: number | null;
}

export interface NpySinkOptions {
  /** The one column. Default: that of the first rows. */
  readonly schema?: Schema;
}

export class NpyFormat implements Format {
  /** The element type where no row has told the shape yet. */
  readonly #planned: RowType | undefined;
  #type: RowType | undefined;
  rows = 0;

  constructor({ schema }: NpySinkOptions = {}) {
    if (schema === undefined) return;
    const [entry, ...others] = schema;
    if (entry === undefined || others.length > 0) throw oneColumn([...schema.keys()]);
    const [name, { dtype }] = entry;
    const element = typeof dtype === "string" ? dtype : dtype.list;
    if (typeof element !== "string" || element === "utf8" || element === "binary")
      throw noNumbers(name, printType(dtype));
    if (dtypeInfo(element).numpy === null) throw noNumbers(name, element);
    this.#planned = { dtype: element, width: typeof dtype === "string" ? null : 0 };
  }

  write(table: Table): Uint8Array[] {
    const given = columnsOf(table);
    const [entry, ...others] = given.columns;
    if (entry === undefined || others.length > 0) throw oneColumn([...given.columns.keys()]);
    const [name, column] = entry;
    const parts: Uint8Array[] = [];
    const { type, bytes } = rowsOf(name, column, given.rows, this.#type);
    if (this.#type === undefined) {
      this.#type = type;
      parts.push(new Uint8Array(HEADER_BYTES));
    }
    const { dtype, width } = this.#type;
    if (given.rows > 0 && (type.dtype !== dtype || type.width !== width))
      throw new TenonError("TENSOR_SHAPE", {
        problem: `the rows of column "${name}" differ from the first ones`,
        given: print(type),
        expected: print(this.#type),
      });
    parts.push(bytes);
    this.rows += given.rows;
    return parts;
  }

  finish(): Uint8Array[] {
    return this.#type === undefined ? [new Uint8Array(HEADER_BYTES)] : [];
  }

  /** The header, once the number of rows is known: it takes the place of the file's first bytes. */
  head(): Uint8Array {
    const { dtype, width } = this.#type ?? this.#planned ?? { dtype: "float32", width: null };
    return npyHeader(dtype, width === null ? [this.rows] : [this.rows, width], HEADER_BYTES);
  }
}

function oneColumn(names: readonly string[]): TenonError {
  return new TenonError("USAGE", {
    problem: "a .npy file takes one column",
    given: names.join(", ").slice(0, 200) || "none",
    do: "write the others to another file, or use another format",
  });
}

function noNumbers(name: string, given: string): TenonError {
  return new TenonError("TENSOR_DTYPE", {
    problem: `column "${name}" does not go into a .npy file`,
    given,
    expected: "numbers that numpy has, or lists of one length of them",
  });
}

function print({ dtype, width }: RowType): string {
  return width === null ? dtype : `lists of ${width} ${dtype}`;
}

function rowsOf(
  name: string,
  column: Column,
  rows: number,
  before: RowType | undefined,
): { type: RowType; bytes: Uint8Array } {
  let values = column;
  let width: number | null = null;
  let [from, to] = [0, rows];
  if (column.kind === "list") {
    refuseNulls(name, column, 0, rows);
    const { offsets } = column;
    width = rows === 0 ? (before?.width ?? 0) : offsets[1]! - offsets[0]!;
    for (let i = 0; i < rows; i++)
      if (offsets[i + 1]! - offsets[i]! !== width)
        throw new TenonError("TENSOR_SHAPE", {
          problem: `the lists of column "${name}" differ in length`,
          given: `${offsets[i + 1]! - offsets[i]!} in row ${i}`,
          expected: `${width} elements`,
        });
    [from, to] = [offsets[0] ?? 0, offsets[rows] ?? 0];
    values = column.child;
  }
  if (values.kind !== "fixed" || dtypeInfo(values.dtype).numpy === null)
    throw noNumbers(name, values.kind === "fixed" ? values.dtype : values.kind);
  refuseNulls(name, values, from, to);
  const part = values.values.slice(from, to);
  return {
    type: { dtype: values.dtype, width },
    bytes: new Uint8Array(part.buffer, part.byteOffset, part.byteLength),
  };
}

function refuseNulls(name: string, { valid }: Column, from: number, to: number): void {
  if (valid === null) return;
  const at = valid.subarray(from, to).indexOf(0);
  if (at >= 0)
    throw new TenonError("TENSOR_VALUE", {
      problem: `column "${name}" has a null, which .npy does not have`,
      given: `row ${at}`,
    });
}
