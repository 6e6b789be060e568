/** Outputs of a batch as columns of the part, with nulls where rows could not be scored. */
import { type Column, type FieldType, takeRows, tensorColumn, textColumn } from "../data/index.js";
import { allocateStorage, type Tensor } from "../tensor/index.js";
import type { OutputColumn } from "./scorer.js";

/** The type of an output's column. */
export function outputField({ dtype, list }: OutputColumn): FieldType {
  const element = dtype === "string" ? "utf8" : dtype;
  return { dtype: list === null ? element : { list: element }, nullable: true };
}

/** The tensor's rows; they are lists even where there is one element, when the model declares lists. */
export function outputColumn({ name, list }: OutputColumn, tensor: Tensor): Column {
  const { column, count } = tensorColumn(name, tensor);
  if (list === null || column.kind === "list") return column;
  const offsets = Int32Array.from({ length: count + 1 }, (_, i) => i);
  return { kind: "list", offsets, child: column, valid: null };
}

/** `rows` rows, of which `good` are those of the tensor, in order; the others are null. */
export function nullableColumn(
  output: OutputColumn,
  tensor: Tensor | undefined,
  rows: number,
  good: readonly number[],
): Column {
  if (tensor === undefined) return nulls(output, rows);
  const order = new Uint32Array(rows);
  const valid = new Uint8Array(rows);
  good.forEach((row, i) => {
    order[row] = i;
    valid[row] = 1;
  });
  return { ...takeRows(outputColumn(output, tensor), order), valid };
}

function nulls({ dtype, list }: OutputColumn, rows: number): Column {
  const elements = list === null ? rows : 0;
  const valid = new Uint8Array(rows);
  const column: Column =
    dtype === "string"
      ? textColumn(new Array<null>(elements).fill(null))
      : { kind: "fixed", dtype, values: allocateStorage(dtype, elements), valid: null };
  return list === null
    ? { ...column, valid }
    : { kind: "list", offsets: new Int32Array(rows + 1), child: column, valid };
}
