/** Leaves of a Parquet schema: the columns that a file has, with their levels and the type their values become. */
import type { DType } from "../../tensor/index.js";
import type { ColumnType, FieldType, Logical, TimeUnit } from "../column.js";
import type { Physical, SchemaNode } from "./footer.js";
import { invalid, type ThriftStruct } from "./thrift.js";

export interface Leaf {
  /** Name of the column: `a`, a struct's field `a.b`; the inner names of lists are left out. */
  readonly name: string;
  /** Path as the column chunks spell it. */
  readonly path: string;
  readonly physical: Physical;
  readonly typeLength: number;
  readonly maxDefinition: number;
  /** For each list around the value, outer first: the definition level from which on it has an element. */
  readonly lists: readonly number[];
  /** How stored values become column values. */
  readonly value: ValueKind;
  readonly field: FieldType;
}

/** What the decoder does with the stored values after the pages were read. */
export type ValueKind =
  | { readonly kind: "fixed"; readonly dtype: DType; readonly logical?: Logical | undefined }
  | { readonly kind: "text"; readonly dtype: "utf8" | "binary" }
  /** Big-endian two's complement bytes of a decimal; up to 18 digits become int64, more become text. */
  | {
      readonly kind: "decimal";
      readonly dtype: "int64" | "utf8";
      readonly precision: number;
      readonly scale: number;
    }
  /** 96-bit timestamps of old writers, which become nanoseconds. */
  | { readonly kind: "int96" };

/** Deepest nesting that is read. */
const MAX_DEPTH = 64;

/** The leaves in the order of the column chunks. Throws FILE_INVALID for a schema that is no tree. */
export function leavesOf(schema: readonly SchemaNode[]): Leaf[] {
  const leaves: Leaf[] = [];
  let next = 1;
  const visit = (
    names: readonly string[],
    path: readonly string[],
    definition: number,
    lists: readonly number[],
    skip: number,
  ): void => {
    const node = schema[next++];
    if (node === undefined || path.length > MAX_DEPTH) throw invalid("the schema is no tree");
    const repeated = node.repetition === "repeated";
    const level = definition + (node.repetition === "required" ? 0 : 1);
    const inner = repeated ? [...lists, level] : lists;
    const shown = skip > 0 ? names : [...names, node.name];
    const here = [...path, node.name];
    if (node.physical !== undefined) {
      leaves.push(leafOf(node, shown, here, level, inner));
      return;
    }
    const childSkip = hiddenLevels(schema, next, node, skip);
    for (let i = 0; i < node.children; i++) visit(shown, here, level, inner, childSkip);
  };
  const root = schema[0]!;
  for (let i = 0; i < root.children; i++) visit([], [], 0, [], 0);
  if (next !== schema.length) throw invalid("the schema is no tree");
  return leaves;
}

const CONVERTED_LIST = 3;
const CONVERTED_MAP = 1;

/** How many levels below this node are mere structure: two below a list, one below a map. */
function hiddenLevels(schema: readonly SchemaNode[], first: number, node: SchemaNode, skip: number): number {
  if (skip > 1) return skip - 1;
  if (node.logical?.[3] !== undefined || node.converted === CONVERTED_LIST) {
    const child = schema[first];
    const standard =
      child?.physical === undefined &&
      child?.children === 1 &&
      child.name !== "array" &&
      child.name !== `${node.name}_tuple`;
    return standard ? 2 : 1;
  }
  return node.logical?.[2] !== undefined || node.converted === CONVERTED_MAP ? 1 : 0;
}

function leafOf(
  node: SchemaNode,
  names: readonly string[],
  path: readonly string[],
  maxDefinition: number,
  lists: readonly number[],
): Leaf {
  const value = valueKind(node);
  const element: ColumnType = value.kind === "int96" ? "int64" : value.dtype;
  const dtype = lists.reduce<ColumnType>((inner) => ({ list: inner }), element);
  const logical = logicalOf(value);
  return {
    name: names.join("."),
    path: path.join("\u0000"),
    physical: node.physical!,
    typeLength: node.typeLength,
    maxDefinition,
    lists,
    value,
    field: { dtype, nullable: maxDefinition > lists.length, logical },
  };
}

function logicalOf(value: ValueKind): Logical | undefined {
  if (value.kind === "fixed") return value.logical;
  if (value.kind === "decimal") return { kind: "decimal", precision: value.precision, scale: value.scale };
  return value.kind === "int96" ? { kind: "timestamp", unit: "ns", utc: false } : undefined;
}

const TIME_UNITS: readonly (TimeUnit | undefined)[] = [undefined, "ms", "us", "ns"];

function timeUnit(type: ThriftStruct): TimeUnit {
  const units = type[2];
  if (Array.isArray(units)) for (let i = 1; i <= 3; i++) if (units[i] !== undefined) return TIME_UNITS[i]!;
  throw invalid("a time type without unit");
}

/** `ConvertedType` codes. */
const CONVERTED_INT: Readonly<Record<number, DType>> = {
  11: "uint8",
  12: "uint16",
  13: "uint32",
  14: "uint64",
  15: "int8",
  16: "int16",
  17: "int32",
  18: "int64",
};
const CONVERTED_LOGICAL: Readonly<Record<number, Logical>> = {
  6: { kind: "date" },
  7: { kind: "time", unit: "ms" },
  8: { kind: "time", unit: "us" },
  9: { kind: "timestamp", unit: "ms", utc: true },
  10: { kind: "timestamp", unit: "us", utc: true },
};
const CONVERTED_DECIMAL = 5;
const CONVERTED_TEXT: ReadonlySet<number | undefined> = new Set([0, 4, 19]);

const STORED: Readonly<Partial<Record<Physical, DType>>> = {
  BOOLEAN: "bool",
  INT32: "int32",
  INT64: "int64",
  FLOAT: "float32",
  DOUBLE: "float64",
};

function valueKind(node: SchemaNode): ValueKind {
  const { physical, logical, converted } = node;
  const decimal = logical?.[5];
  if (decimal !== undefined || converted === CONVERTED_DECIMAL) {
    const [scale, precision] = Array.isArray(decimal)
      ? [Number(decimal[1] ?? 0), Number(decimal[2] ?? 0)]
      : [node.scale, node.precision];
    if (!(precision >= 1 && precision <= 76 && scale >= 0 && scale <= precision))
      throw invalid("a decimal type out of range", `precision ${precision}, scale ${scale}`);
    if (physical === "INT32" || physical === "INT64")
      return { kind: "fixed", dtype: STORED[physical]!, logical: { kind: "decimal", precision, scale } };
    if (physical === "BYTE_ARRAY" || physical === "FIXED_LEN_BYTE_ARRAY")
      return { kind: "decimal", dtype: precision <= 18 ? "int64" : "utf8", precision, scale };
  }
  if (physical === "INT96") return { kind: "int96" };
  if (physical === "BYTE_ARRAY") {
    const text =
      logical === undefined
        ? CONVERTED_TEXT.has(converted) && converted !== undefined
        : logical[1] !== undefined || logical[4] !== undefined || logical[12] !== undefined;
    return { kind: "text", dtype: text ? "utf8" : "binary" };
  }
  if (physical === "FIXED_LEN_BYTE_ARRAY") {
    if (logical?.[15] !== undefined && node.typeLength === 2) return { kind: "fixed", dtype: "float16" };
    return { kind: "text", dtype: "binary" };
  }
  const stored = STORED[physical!]!;
  if (physical === "INT32" || physical === "INT64") return { kind: "fixed", ...integerKind(node, stored) };
  return { kind: "fixed", dtype: stored };
}

function integerKind(
  { logical, converted }: SchemaNode,
  stored: DType,
): { dtype: DType; logical?: Logical | undefined } {
  const integer = logical?.[10];
  if (Array.isArray(integer)) {
    const name = `${integer[2] === false ? "uint" : "int"}${String(integer[1])}`;
    const known = Object.values(CONVERTED_INT).find((dtype) => dtype === name);
    if (known !== undefined) return { dtype: fitting(known, stored) };
  }
  if (logical?.[6] !== undefined) return { dtype: stored, logical: { kind: "date" } };
  const time = logical?.[7];
  if (Array.isArray(time)) return { dtype: stored, logical: { kind: "time", unit: timeUnit(time) } };
  const timestamp = logical?.[8];
  if (Array.isArray(timestamp))
    return {
      dtype: stored,
      logical: { kind: "timestamp", unit: timeUnit(timestamp), utc: timestamp[1] === true },
    };
  if (converted === undefined) return { dtype: stored };
  const dtype = CONVERTED_INT[converted];
  if (dtype !== undefined) return { dtype: fitting(dtype, stored) };
  return { dtype: stored, logical: CONVERTED_LOGICAL[converted] };
}

/** 64-bit types need 64-bit storage, the others 32-bit storage. */
function fitting(dtype: DType, stored: DType): DType {
  if (dtype.endsWith("64") !== (stored === "int64"))
    throw invalid("an integer type does not fit its storage", dtype);
  return dtype;
}
