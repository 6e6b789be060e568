/** Conditions on rows: a small table of comparisons, joined by AND, that every engine evaluates alike. */
import { suggest, TenonError } from "../base/index.js";
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "../tensor/index.js";
import {
  type Column,
  type ColumnType,
  decodeText,
  type Logical,
  logicalOf,
  type Schema,
  typeOf,
} from "./column.js";
import { numberReader, textNumberReader, timeOf } from "./number.js";

/** A value to compare with: a number, an int64 as bigint, a text or a boolean; dates and timestamps as ISO 8601 texts. */
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

const LITERALS: ReadonlySet<string> = new Set(["number", "bigint", "string", "boolean"]);

/** Throws USAGE for what is no condition: conditions may come from JSON. */
export function checkConditions(where: Where): void {
  for (const [name, condition] of Object.entries(where)) {
    if (typeof condition !== "object" || condition === null || Array.isArray(condition))
      throw wrong(name, "has no condition", condition, 'an object such as { "gt": 0.5 }');
    for (const [key, value] of Object.entries(condition) as [string, unknown][]) {
      if (!NAMES.includes(key))
        throw new TenonError("USAGE", {
          problem: `unknown comparison of column "${name}"`,
          given: `"${key}"`,
          expected: suggest(key, NAMES, 12),
        });
      if (key === "isNull") {
        if (typeof value !== "boolean") throw wrong(name, "has no condition isNull", value, "true or false");
      } else if (key === "in") {
        const kinds = new Set(Array.isArray(value) ? value.map(kindOf) : ["no list"]);
        if (kinds.size > 1 || [...kinds].some((kind) => !LITERALS.has(kind)))
          throw wrong(name, "has no condition in", value, "a list of numbers, of texts or of booleans");
      } else if (!LITERALS.has(kindOf(value)))
        throw wrong(name, `has no condition ${key}`, value, "a number, a text or a boolean");
    }
  }
}

function kindOf(value: unknown): string {
  return typeof value === "bigint" ? "number" : typeof value;
}

function wrong(name: string, problem: string, given: unknown, expected: string): TenonError {
  const text = typeof given === "object" ? JSON.stringify(given) : String(given);
  return new TenonError("USAGE", {
    problem: `column "${name}" ${problem}`,
    given: text.slice(0, 80),
    expected,
  });
}

/** Throws USAGE for columns that are not there, and for literals that cannot be compared with theirs. */
export function checkWhere(where: Where, schema: Schema): void {
  for (const [name, { isNull: _, in: among = [], ...comparisons }] of Object.entries(where)) {
    const field = schema.get(name);
    if (field === undefined) throw unknownColumn(name, schema);
    for (const literal of [...among, ...Object.values(comparisons)]) literalFor(name, literal, field);
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
export function evaluate(
  where: Where,
  columns: Pick<ReadonlyMap<string, Column>, "get">,
  rows: number,
): Uint8Array {
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
  const field: Typed = { dtype: typeOf(column), logical: logicalOf(column) };
  for (const key of Object.keys(COMPARE) as Comparison[]) {
    const literal = condition[key];
    if (literal === undefined) continue;
    const wanted = literalFor(name, literal, field);
    if (column.kind === "fixed" && typeof wanted === "number" && column.values instanceof Float32Array) {
      compareNumbers(key, column.values, wanted, keep);
      if (valid !== null) for (let i = 0; i < keep.length; i++) if (valid[i] === 0) keep[i] = 0;
      continue;
    }
    const compare = COMPARE[key];
    const read = reader(name, column, wanted);
    for (let i = 0; i < keep.length; i++) {
      if (keep[i] === 0) continue;
      if (valid !== null && valid[i] === 0) keep[i] = 0;
      else if (!compare(read(i), wanted)) keep[i] = 0;
    }
  }
  if (condition.in !== undefined) {
    const wanted = condition.in.map((literal) => literalFor(name, literal, field));
    if (wanted.length === 0) return void keep.fill(0);
    const read = reader(name, column, wanted[0]!);
    const set = new Set(wanted.map(String));
    for (let i = 0; i < keep.length; i++) {
      if (keep[i] === 0) continue;
      if ((valid !== null && valid[i] === 0) || !set.has(String(read(i)))) keep[i] = 0;
    }
  }
}

interface Typed {
  readonly dtype: ColumnType;
  readonly logical?: Logical | undefined;
}

/** How numbers of a dtype are rounded. */
const ROUND: Readonly<Record<string, (value: number) => number>> = {
  float32: Math.fround,
  float16: (value) => float16ToNumber(numberToFloat16(value)),
  bfloat16: (value) => bfloat16ToNumber(numberToBfloat16(value)),
};

/** The literal is compared as the column's own type: 0.1 against float32 means the float32 nearest to 0.1. */
function literalFor(name: string, literal: Literal, { dtype, logical }: Typed): Comparable {
  if (typeof dtype !== "string")
    throw new TenonError("USAGE", { problem: `column "${name}" holds lists, which are not compared` });
  if (typeof literal === "boolean") return literal ? 1 : 0;
  if (dtype === "utf8" || dtype === "binary") return literal;
  if (typeof literal === "number") return (ROUND[dtype] ?? Number)(literal);
  if (typeof literal === "bigint") return literal;
  const time = logical === undefined ? undefined : timeOf(literal, logical);
  if (time !== undefined) return time;
  throw new TenonError("USAGE", {
    problem: `column "${name}" does not compare with this text`,
    given: `"${literal.slice(0, 80)}"`,
    expected: expectedLiteral(logical),
  });
}

function expectedLiteral(logical: Logical | undefined): string {
  if (logical?.kind === "date") return "a number of days, or a date such as 2024-12-31";
  if (logical?.kind !== "timestamp") return "a number";
  const example = `2024-12-31T23:59:59${logical.utc ? "Z" : ""}`;
  return `a number of ${logical.unit}, or a time such as ${example}, no finer than ${logical.unit}`;
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

function reader(name: string, column: Column, literal: Comparable): (row: number) => Comparable {
  if (column.kind === "fixed") return numberReader(column);
  if (column.kind === "list") throw new TenonError("INTERNAL", { problem: "lists are not compared" });
  if (typeof literal !== "string") return textNumberReader(name, column);
  const { bytes, offsets } = column;
  return (row) => decodeText(bytes.subarray(offsets[row]!, offsets[row + 1]!));
}

/** Bounds that a condition sets, for statistics: `[low, high]`, null where it is open. */
export function boundsOf(
  name: string,
  condition: Condition,
  field: Typed,
): readonly [low: Comparable | null, high: Comparable | null] {
  const bound = (literal: Literal | undefined): Comparable | null =>
    literal === undefined ? null : literalFor(name, literal, field);
  return [
    bound(condition.eq ?? condition.gt ?? condition.ge),
    bound(condition.eq ?? condition.lt ?? condition.le),
  ];
}
