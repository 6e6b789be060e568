/** Tensors made of columns: what a batch holds under each name, and how its rows are filled in. */
import { TenonError } from "../base/index.js";
import {
  allocateStorage,
  type DType,
  type NumericArray,
  StringStorage,
  type Tensor,
  tensorFromStorage,
} from "../tensor/index.js";
import { type Column, type Columns, columnStrings, printType, type Schema, typeOf } from "./column.js";
import { type Nulls, type Rows, writeRows } from "./convert.js";
import type { Filler } from "./filler.js";
import { interleave } from "./interleave.js";
import { type Padding, type PaddingOptions, paddedFiller, paddingOf } from "./padding.js";
import type { Source } from "./row-source.js";
import { takeRows } from "./rows.js";
import { unknownColumn } from "./where.js";
import { wholeNumber } from "./whole-number.js";

/** A tensor of a batch, told by the columns that it is made of. Made by `pack`, `col`, `matrix` and `strings`. */
export interface TensorSpec<D extends DType = DType> {
  readonly kind: "pack" | "col" | "matrix" | "strings" | "padded" | "lengths";
  readonly columns: readonly string[];
  /** undefined: the column's own. */
  readonly dtype: D | undefined;
  readonly nulls: Nulls;
  /** Elements per row of a `matrix`. */
  readonly size: number;
  /** How lists of `padded` and `lengths` become equally long. */
  readonly padding?: Padding;
}

export interface SpecOptions {
  /** Default "error". */
  readonly nulls?: Nulls;
}

export type TensorSpecs = Readonly<Record<string, TensorSpec>>;

/** The tensors that specs give. */
export type TensorsOf<S extends TensorSpecs> = {
  readonly [N in keyof S]: Tensor<S[N] extends TensorSpec<infer D> ? D : DType>;
};

/**
 * Number columns side by side: `[rows, columns]`, row-major. Text columns are read as numbers. Values are converted to
 * `dtype`; what it cannot hold throws TENSOR_VALUE, floats round to the nearest.
 */
export function pack<D extends Exclude<DType, "string"> = "float32">(
  columns: readonly string[],
  dtype?: D,
  options: SpecOptions = {},
): TensorSpec<D> {
  if (columns.length === 0) throw new TenonError("USAGE", { problem: "pack needs one column at least" });
  // The default of D is what `dtype` is when it is not given.
  return {
    kind: "pack",
    columns,
    dtype: dtype ?? ("float32" as D),
    nulls: options.nulls ?? "error",
    size: columns.length,
  };
}

/** One column as `[rows]`; without `dtype` in its own type, text as strings. */
export function col<D extends DType = DType>(
  name: string,
  dtype?: D,
  options: SpecOptions = {},
): TensorSpec<D> {
  return {
    kind: dtype === "string" ? "strings" : "col",
    columns: [name],
    dtype,
    nulls: options.nulls ?? "error",
    size: 1,
  };
}

/** A list column as `[rows, size]`; a row with another number of elements throws TENSOR_VALUE. */
export function matrix<D extends Exclude<DType, "string"> = "float32">(
  name: string,
  size: number,
  dtype?: D,
  options: SpecOptions = {},
): TensorSpec<D> {
  wholeNumber("the length of a matrix", size, 0);
  return {
    kind: "matrix",
    columns: [name],
    dtype: dtype ?? ("float32" as D),
    nulls: options.nulls ?? "error",
    size,
  };
}

/** A text column as strings `[rows]`; a null throws TENSOR_VALUE. */
export function strings(name: string): TensorSpec<"string"> {
  return { kind: "strings", columns: [name], dtype: "string", nulls: "error", size: 1 };
}

/**
 * A list column as `[rows, width]`, where the width is that of the longest list of the batch: shorter ones are filled up with
 * `value`. Beside it, `lengths` tells how much of each row is the list.
 */
export function padded<D extends Exclude<DType, "string"> = "float32">(
  name: string,
  dtype?: D,
  options: PaddingOptions = {},
): TensorSpec<D> {
  return {
    kind: "padded",
    columns: [name],
    dtype: dtype ?? ("float32" as D), // the default of D is what `dtype` is when it is not given
    nulls: options.nulls ?? "error",
    size: 1,
    padding: paddingOf(options),
  };
}

/** The lengths of a list column's rows as `int32` `[rows]`, cut as `padded` with the same options cuts them; 0 for a null. */
export function lengths(
  name: string,
  options: Pick<PaddingOptions, "most" | "cut"> = {},
): TensorSpec<"int32"> {
  return { kind: "lengths", columns: [name], dtype: "int32", nulls: 0, size: 1, padding: paddingOf(options) };
}

/** Throws USAGE or TENSOR_DTYPE when a spec cannot be made of these columns. */
export function checkSpecs(specs: TensorSpecs, schema: Schema): void {
  for (const { columns, kind } of Object.values(specs)) {
    for (const name of columns) {
      const field = schema.get(name);
      if (field === undefined) throw unknownColumn(name, schema);
      const isList = typeof field.dtype !== "string";
      if (isList !== (kind === "matrix" || kind === "padded" || kind === "lengths"))
        throw new TenonError("TENSOR_DTYPE", {
          problem: `column "${name}" does not become a tensor this way`,
          given: `${kind} of ${printType(field.dtype)}`,
          expected: isList ? `matrix("${name}", LENGTH) or padded("${name}", DTYPE)` : "pack, col or strings",
        });
      if (kind === "strings" && field.dtype !== "utf8")
        throw new TenonError("TENSOR_DTYPE", {
          problem: `column "${name}" holds no text`,
          given: printType(field.dtype),
        });
    }
  }
}

/** A filler for `rows` rows; `memory` gives the storage of numbers. */
export function fillerOf(
  spec: TensorSpec,
  schema: Schema,
  rows: number,
  memory: (dtype: DType, entries: number) => NumericArray = allocateStorage,
): Filler {
  const name = spec.columns[0]!;
  if (
    spec.kind === "strings" ||
    (spec.kind === "col" && spec.dtype === undefined && schema.get(name)!.dtype === "utf8")
  )
    return textFiller(name, rows);
  const dtype = spec.dtype ?? ownDType(name, schema);
  if (spec.padding !== undefined)
    return paddedFiller(name, spec.kind === "lengths", spec.nulls, spec.padding, dtype);
  const width = spec.kind === "col" ? 1 : spec.size;
  const values = memory(dtype, rows * width);
  return {
    fill(source, from, to, row) {
      const { columns, order } = source;
      const slice: Rows = { order, from, to };
      if (spec.kind === "matrix")
        return fillMatrix(name, spec, columns.get(name)!, slice, dtype, values, row * width);
      if (spec.kind === "pack" && interleave(spec.columns, source, slice, values, row * width)) return;
      spec.columns.forEach((column, j) => {
        writeRows(
          column,
          columns.get(column)!,
          slice,
          { dtype, values, at: row * width + j, stride: width },
          spec.nulls,
        );
      });
    },
    finish(count) {
      const shape = spec.kind === "col" ? [count] : [count, width];
      const used = count === rows ? values : values.subarray(0, count * width);
      return tensorFromStorage(dtype, shape, used as Float32Array) as Tensor;
    },
  };
}

function ownDType(name: string, schema: Schema): DType {
  const { dtype } = schema.get(name)!;
  if (typeof dtype === "string" && dtype !== "utf8" && dtype !== "binary") return dtype;
  throw new TenonError("TENSOR_DTYPE", {
    problem: `column "${name}" has no dtype of tensors`,
    given: printType(dtype),
    do: `col("${name}", DTYPE)`,
  });
}

function textFiller(name: string, rows: number): Filler {
  const texts = new Array<string>(rows).fill("");
  return {
    fill({ columns, order }, from, to, row) {
      const column = columns.get(name)!;
      if (column.kind !== "utf8")
        throw new TenonError("TENSOR_DTYPE", {
          problem: `column "${name}" holds no text`,
          given: printType(typeOf(column)),
        });
      const picked = order === null ? column : (takeRows(column, order.subarray(from, to)) as typeof column);
      const [start, end] = order === null ? [from, to] : [0, to - from];
      columnStrings(picked, start, end).forEach((text, i) => {
        if (text === null) {
          const at = order === null ? from + i : order[from + i]!;
          throw new TenonError("TENSOR_VALUE", {
            problem: `column "${name}" has a null`,
            given: `row ${at}`,
            details: { column: name, row: at },
          });
        }
        texts[row + i] = text;
      });
    },
    finish: (count) =>
      tensorFromStorage("string", [count], StringStorage.fromStrings(texts.slice(0, count))) as Tensor,
  };
}

function fillMatrix(
  name: string,
  spec: TensorSpec,
  column: Column,
  rows: Rows,
  dtype: DType,
  values: NumericArray,
  at: number,
): void {
  if (column.kind !== "list") {
    throw new TenonError("TENSOR_DTYPE", {
      problem: `column "${name}" holds no lists`,
      given: printType(typeOf(column)),
    });
  }
  const { offsets, child, valid } = column;
  const { size } = spec;
  for (let i = rows.from; i < rows.to; i++) {
    const row = rows.order === null ? i : rows.order[i]!;
    const length = offsets[row + 1]! - offsets[row]!;
    if (length !== size || (valid !== null && valid[row] === 0)) {
      throw new TenonError("TENSOR_VALUE", {
        problem: `a list of column "${name}" has another length`,
        given: `${valid !== null && valid[row] === 0 ? "null" : length} in row ${row}`,
        expected: `${size} elements`,
        details: { column: name, row },
      });
    }
  }
  const whole = (from: number, to: number, o: number): void =>
    writeRows(name, child, { order: null, from, to }, { dtype, values, at: o, stride: 1 }, spec.nulls);
  if (rows.order === null) whole(offsets[rows.from]!, offsets[rows.to]!, at);
  else {
    for (let i = rows.from; i < rows.to; i++) {
      const start = offsets[rows.order[i]!]!;
      whole(start, start + size, at + (i - rows.from) * size);
    }
  }
}

/** Tensors of rows `[from, to)` of columns; `memory` gives the storage of numbers. Throws as the batches of a dataset do. */
export function buildTensors(
  specs: TensorSpecs,
  columns: Columns,
  from: number,
  to: number,
  memory?: (dtype: DType, entries: number) => NumericArray,
): Record<string, Tensor> {
  const source: Source = { columns: new Map(Object.entries(columns)), order: null };
  const schema = new Map(
    Object.entries(columns).map(([name, column]) => [name, { dtype: typeOf(column), nullable: true }]),
  );
  const tensors: Record<string, Tensor> = {};
  for (const [name, spec] of Object.entries(specs)) {
    const filler = fillerOf(spec, schema, to - from, memory);
    filler.fill(source, from, to, 0);
    tensors[name] = filler.finish(to - from);
  }
  return tensors;
}
