/** Rows collected until a row group is full; numbers go straight to their place, in memory that every group uses again. */
import { allocateStorage, type NumericArray } from "../../tensor/index.js";
import type { Column, FixedColumn } from "../column.js";
import { copyRows, joinColumns } from "../rows.js";

/** Rows that memory is made for at first; it doubles. */
const FIRST_ROWS = 16_384;

interface Numbers {
  readonly of: FixedColumn;
  values: NumericArray;
  valid: Uint8Array;
  nulls: boolean;
}

export class RowGroup {
  readonly #numbers = new Map<string, Numbers>();
  #others = new Map<string, { readonly column: Column; readonly rows: number }[]>();
  rows = 0;

  /** Appends rows `[from, to)`, copied. The columns are those of the calls before, by name and type. */
  add(columns: ReadonlyMap<string, Column>, from: number, to: number): void {
    const end = this.rows + to - from;
    for (const [name, column] of columns) {
      if (column.kind === "fixed") this.#append(name, column, from, to, end);
      else {
        const parts = this.#others.get(name) ?? [];
        parts.push({ column: copyRows(column, from, to), rows: to - from });
        this.#others.set(name, parts);
      }
    }
    this.rows = end;
  }

  #append(name: string, column: FixedColumn, from: number, to: number, end: number): void {
    const numbers = this.#numbersOf(name, column, end);
    // Same dtype, hence the same array type.
    (numbers.values as Float64Array).set(column.values.subarray(from, to) as Float64Array, this.rows);
    if (column.valid === null) {
      if (numbers.nulls) numbers.valid.fill(1, this.rows, end);
      return;
    }
    if (!numbers.nulls) numbers.valid.fill(1, 0, this.rows);
    numbers.nulls = true;
    numbers.valid.set(column.valid.subarray(from, to), this.rows);
  }

  #numbersOf(name: string, column: FixedColumn, rows: number): Numbers {
    const known = this.#numbers.get(name);
    if (known !== undefined && known.of.dtype === column.dtype && known.values.length >= rows) return known;
    const room = Math.max(FIRST_ROWS, 2 ** Math.ceil(Math.log2(rows)));
    const values = allocateStorage(column.dtype, room);
    const valid = new Uint8Array(room);
    const made = { of: column, values, valid, nulls: known?.nulls ?? false };
    if (known !== undefined) {
      (values as Float64Array).set(known.values.subarray(0, this.rows) as Float64Array); // as above
      valid.set(known.valid.subarray(0, this.rows));
    }
    this.#numbers.set(name, made);
    return made;
  }

  /** The rows so far, and begins anew. Numbers stay as they are until the next `add`. */
  take(names: Iterable<string>): { readonly columns: Map<string, Column>; readonly rows: number } {
    const { rows } = this;
    const columns = new Map<string, Column>();
    for (const name of names) {
      const numbers = this.#numbers.get(name);
      if (numbers === undefined) columns.set(name, joinColumns(name, this.#others.get(name)!));
      else {
        const { of, values, valid, nulls } = numbers;
        columns.set(name, {
          ...of,
          values: values.subarray(0, rows) as NumericArray,
          valid: nulls ? valid.subarray(0, rows) : null,
        });
        numbers.nulls = false;
      }
    }
    this.#others = new Map();
    this.rows = 0;
    return { columns, rows };
  }
}
