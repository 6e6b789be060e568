/** Lists of different lengths as one tensor: filled up to the longest of a batch, or cut. */
import { TenonError } from "../base/index.js";
import { allocateStorage, type DType, type Tensor, tensorFromStorage } from "../tensor/index.js";
import { type ListColumn, printType, typeOf } from "./column.js";
import { type Nulls, writeRows } from "./convert.js";
import type { Filler } from "./filler.js";
import { copyRows, takeRows } from "./rows.js";
import { wholeNumber } from "./whole-number.js";

export interface PaddingOptions {
  /** What fills shorter lists up. Default 0. */
  readonly value?: number;
  /** The width is a multiple of this, so that a model meets few shapes. Default 1. */
  readonly multiple?: number;
  /** Longest list; a longer one throws TENSOR_VALUE, or is cut. Default: none. */
  readonly most?: number;
  /** Cuts lists longer than `most` at their end instead. Default false. */
  readonly cut?: boolean;
  /** What a null among the elements becomes. Default "error". A list that is null is an empty one. */
  readonly nulls?: Nulls;
}

export type Padding = Required<Omit<PaddingOptions, "nulls" | "most">> & { readonly most: number | null };

export function paddingOf({ value = 0, multiple = 1, most, cut = false }: PaddingOptions): Padding {
  wholeNumber("the multiple of a width", multiple, 1);
  if (cut && most === undefined)
    throw new TenonError("USAGE", { problem: "lists are cut at `most`, which is not given" });
  return {
    value,
    multiple,
    most: most === undefined ? null : wholeNumber("the longest list", most, 1),
    cut,
  };
}

/** A filler that knows its width only when every row of the batch is there. */
export function paddedFiller(
  name: string,
  onlyLengths: boolean,
  nulls: Nulls,
  padding: Padding,
  dtype: DType,
): Filler {
  const pieces: ListColumn[] = [];
  return {
    fill({ columns, order }, from, to) {
      const column = columns.get(name)!;
      if (column.kind !== "list")
        throw new TenonError("TENSOR_DTYPE", {
          problem: `column "${name}" holds no lists`,
          given: printType(typeOf(column)),
        });
      for (let i = from; i < to; i++) lengthOf(name, column, order === null ? i : order[i]!, padding);
      // Copied: a window's memory may serve another one before the batch is full.
      const piece = order === null ? copyRows(column, from, to) : takeRows(column, order.subarray(from, to));
      pieces.push(piece as ListColumn); // rows of lists are lists
    },
    finish(count) {
      return onlyLengths
        ? lengthTensor(name, pieces, padding, count)
        : paddedTensor(name, nulls, pieces, padding, dtype, count);
    },
  };
}

/** Elements that row `row` gives. */
function lengthOf(name: string, { offsets, valid }: ListColumn, row: number, { most, cut }: Padding): number {
  if (valid !== null && valid[row] === 0) return 0;
  const length = offsets[row + 1]! - offsets[row]!;
  if (most === null || length <= most) return length;
  if (cut) return most;
  throw new TenonError("TENSOR_VALUE", {
    problem: `a list of column "${name}" is longer than the longest allowed`,
    given: `${length} elements in row ${row}`,
    expected: `at most ${most}`,
    do: "raise `most`, or set `cut: true`",
    details: { column: name, row },
  });
}

function rowsOf({ offsets }: ListColumn): number {
  return offsets.length - 1;
}

function lengthTensor(name: string, pieces: readonly ListColumn[], padding: Padding, count: number): Tensor {
  const values = new Int32Array(count);
  let at = 0;
  for (const piece of pieces)
    for (let row = 0; row < rowsOf(piece); row++) values[at++] = lengthOf(name, piece, row, padding);
  return tensorFromStorage("int32", [count], values) as Tensor;
}

function paddedTensor(
  name: string,
  nulls: Nulls,
  pieces: readonly ListColumn[],
  padding: Padding,
  dtype: DType,
  count: number,
): Tensor {
  let longest = 0;
  for (const piece of pieces)
    for (let row = 0; row < rowsOf(piece); row++)
      longest = Math.max(longest, lengthOf(name, piece, row, padding));
  const width = Math.ceil(longest / padding.multiple) * padding.multiple;
  const values = allocateStorage(dtype, count * width);
  if (padding.value !== 0) {
    const one: ListColumn["child"] = {
      kind: "fixed",
      dtype: "float64",
      values: Float64Array.of(padding.value),
      valid: null,
    };
    // The value in the tensor's own dtype, refused where that cannot hold it.
    writeRows(name, one, { order: null, from: 0, to: 1 }, { dtype, values, at: 0, stride: 1 }, nulls);
    if (values.length > 0) values.fill(values[0] as never);
  }
  let at = 0;
  for (const piece of pieces)
    for (let row = 0; row < rowsOf(piece); row++) {
      const start = piece.offsets[row]!;
      const end = start + lengthOf(name, piece, row, padding);
      if (end > start)
        writeRows(
          name,
          piece.child,
          { order: null, from: start, to: end },
          { dtype, values, at, stride: 1 },
          nulls,
        );
      at += width;
    }
  return tensorFromStorage(dtype, [count, width], values as Float32Array) as Tensor;
}
