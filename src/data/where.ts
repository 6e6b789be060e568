/** Conditions on rows: a small table of comparisons, joined by AND, that every engine evaluates alike. */
import { suggest, TenonError } from "../base/index.js";
import { type Column, columnValue, type Schema } from "./column.js";
import { numberReader, timestampText } from "./number.js";

/** A value to compare with: a number, an int64 as bigint, a text or a boolean. */
export type Literal = number | bigint | string | boolean;

/** Comparisons of one column; a null never fulfils any but `isNull: true`. */
export interface Condition {
  readonly eq?: Literal;
  readonly ne?: Literal;
  readonly gt?: Literal;
  readonly ge?: Literal;
  readonly lt?: Literal;
  readonly le?: Literal;
  readonly in?: readonly Literal[];
  readonly isNull?: boolean;
}

/** Conditions by column name. */
export type Where = Readonly<Record<string, Condition>>;

type Comparison = Exclude<keyof Condition, "in" | "isNull">;
type Comparable = number | bigint | string;

const COMPARE: Readonly<Record<Comparison, (a: Comparable, b: Comparable) => boolean>> = {
  // Loose on purpose: 1n == 1.
  // biome-ignore lint/suspicious/noDoubleEquals: a bigint equals the number of the same value
  eq: (a, b) => a == b,
  // biome-ignore lint/suspicious/noDoubleEquals: as above
  ne: (a, b) => a != b,
  gt: (a, b) => a > b,
  ge: (a, b) => a >= b,
  lt: (a, b) => a < b,
  le: (a, b) => a <= b,
};

const NAMES = [...Object.keys(COMPARE), "in", "isNull"];

/** Throws USAGE for unknown columns and comparisons. */
export function checkWhere(where: Where, schema: Schema): void {
  for (const [name, condition] of Object.entries(where)) {
    if (!schema.has(name)) throw unknownColumn(name, schema);
    for (const key of Object.keys(condition)) {
      if (!NAMES.includes(key))
        throw new TenonError("USAGE", {
          problem: `unknown comparison of column "${name}"`,
          given: `"${key}"`,
          expected: suggest(key, NAMES, 12),
        });
    }
  }
}

export function unknownColumn(name: string, schema: Schema): TenonError {
  return new TenonError("USAGE", {
    problem: `there is no column "${name}"`,
    expected: suggest(name, [...schema.keys()], 24),
    details: { column: name },
  });
}

/** Marks the rows that fulfil every condition: 1 stays, 0 goes. */
export function evaluate(where: Where, columns: ReadonlyMap<string, Column>, rows: number): Uint8Array {
  const keep = new Uint8Array(rows).fill(1);
  for (const [name, condition] of Object.entries(where)) apply(name, condition, columns.get(name)!, keep);
  return keep;
}

function apply(name: string, condition: Condition, column: Column, keep: Uint8Array): void {
  const { valid } = column;
  if (condition.isNull !== undefined) {
    for (let i = 0; i < keep.length; i++) {
      const isNull = valid !== null && valid[i] === 0;
      if (isNull !== condition.isNull) keep[i] = 0;
    }
  }
  for (const key of Object.keys(COMPARE) as Comparison[]) {
    const literal = condition[key];
    if (literal === undefined) continue;
    const wanted = literalFor(name, literal, column);
    if (column.kind === "fixed" && typeof wanted === "number" && column.values instanceof Float32Array) {
      compareNumbers(key, column.values, wanted, keep);
      if (valid !== null) for (let i = 0; i < keep.length; i++) if (valid[i] === 0) keep[i] = 0;
      continue;
    }
    const compare = COMPARE[key];
    const read = reader(name, column, typeof wanted);
    for (let i = 0; i < keep.length; i++) {
      if (keep[i] === 0) continue;
      if (valid !== null && valid[i] === 0) keep[i] = 0;
      else if (!compare(read(i), wanted)) keep[i] = 0;
    }
  }
  if (condition.in !== undefined) {
    const wanted = condition.in.map((literal) => literalFor(name, literal, column));
    const kind = wanted.length === 0 ? "number" : typeof wanted[0];
    const read = reader(name, column, kind);
    const set = new Set(wanted.map(String));
    for (let i = 0; i < keep.length; i++) {
      if (keep[i] === 0) continue;
      if ((valid !== null && valid[i] === 0) || !set.has(String(read(i)))) keep[i] = 0;
    }
  }
}

/** The literal is compared as the column's own type: 0.1 against float32 means the float32 nearest to 0.1. */
function literalFor(name: string, literal: Literal, column: Column): Comparable {
  if (typeof literal === "boolean") return literal ? 1 : 0;
  if (column.kind === "list")
    throw new TenonError("USAGE", { problem: `column "${name}" holds lists, which are not compared` });
  if (typeof literal === "string") {
    if (column.kind === "fixed" && column.logical?.kind !== "timestamp" && column.logical?.kind !== "date")
      throw new TenonError("USAGE", {
        problem: `column "${name}" holds numbers`,
        given: `the text "${literal}"`,
        expected: "a number",
      });
    return literal;
  }
  if (column.kind === "fixed" && column.dtype === "float32" && typeof literal === "number")
    return Math.fround(literal);
  return literal;
}

function compareNumbers(key: Comparison, values: Float32Array, wanted: number, keep: Uint8Array): void {
  const n = keep.length;
  switch (key) {
    case "gt":
      for (let i = 0; i < n; i++) if (!(values[i]! > wanted)) keep[i] = 0;
      return;
    case "ge":
      for (let i = 0; i < n; i++) if (!(values[i]! >= wanted)) keep[i] = 0;
      return;
    case "lt":
      for (let i = 0; i < n; i++) if (!(values[i]! < wanted)) keep[i] = 0;
      return;
    case "le":
      for (let i = 0; i < n; i++) if (!(values[i]! <= wanted)) keep[i] = 0;
      return;
    case "eq":
      for (let i = 0; i < n; i++) if (values[i] !== wanted) keep[i] = 0;
      return;
    case "ne":
      for (let i = 0; i < n; i++) if (values[i] === wanted) keep[i] = 0;
  }
}

function reader(name: string, column: Column, kind: string): (row: number) => Comparable {
  if (column.kind === "fixed") {
    if (kind === "string" && column.logical !== undefined) {
      const { logical, values } = column;
      return (row) => timestampText(values[row]!, logical);
    }
    return numberReader(column);
  }
  if (column.kind === "list")
    throw new TenonError("USAGE", { problem: `column "${name}" holds lists, which are not compared` });
  if (kind === "string")
    return (row) => columnValue({ ...column, dtype: "utf8", valid: null }, row) as string;
  // Text against a number: the text must be one.
  return (row) => {
    const text = columnValue({ ...column, dtype: "utf8", valid: null }, row) as string;
    const value = Number(text);
    if (text.trim() === "" || Number.isNaN(value))
      throw new TenonError("TENSOR_VALUE", {
        problem: `a text of column "${name}" is no number`,
        given: `"${text.slice(0, 80)}"`,
      });
    return value;
  };
}

/** Bounds that a condition sets, for statistics: `[low, high]`, null where it is open. */
export function boundsOf(condition: Condition): readonly [low: Literal | null, high: Literal | null] {
  const low = condition.eq ?? condition.gt ?? condition.ge ?? null;
  const high = condition.eq ?? condition.lt ?? condition.le ?? null;
  return [low, high];
}
