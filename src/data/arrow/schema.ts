/** Arrow's schema (Schema.fbs of the columnar format, version 5) as types of columns. */
import { TenonError } from "../../base/index.js";
import type { DType } from "../../tensor/index.js";
import type { FieldType, Logical } from "../column.js";
import { damaged, type FlatTable } from "./flat.js";

/** How values lie in the buffers of a field, and what becomes of them. */
export type Storage =
  | { readonly kind: "null" }
  | { readonly kind: "bits" }
  | { readonly kind: "fixed"; readonly dtype: DType; readonly times: Scale }
  | { readonly kind: "bytes"; readonly wide: boolean; readonly text: boolean }
  | { readonly kind: "views"; readonly text: boolean }
  | { readonly kind: "blocks"; readonly width: number; readonly decimal: boolean }
  | { readonly kind: "list"; readonly wide: boolean }
  | { readonly kind: "lists"; readonly size: number }
  | { readonly kind: "struct" };

/** Seconds are kept as milliseconds, milliseconds of a date as days. */
export type Scale = 1 | 1000 | "days";

export interface ArrowField {
  readonly name: string;
  readonly nullable: boolean;
  readonly storage: Storage;
  readonly logical?: Logical | undefined;
  readonly children: readonly ArrowField[];
  /** Values are numbers of rows of the dictionary of this id. */
  readonly dictionary: { readonly id: number; readonly dtype: DType } | null;
}

const MAX_DEPTH = 32;

export function fieldsOf(schema: FlatTable): ArrowField[] {
  if (schema.short(0, 0) !== 0) throw damaged("big-endian files are not read");
  return schema.tables(1).map((field) => fieldOf(field, 0));
}

function fieldOf(table: FlatTable, depth: number): ArrowField {
  if (depth > MAX_DEPTH) throw damaged("lists within lists are too deep");
  const name = table.text(0) ?? "";
  const encoding = table.table(4);
  const index = encoding?.table(1);
  const dictionary =
    encoding === undefined
      ? null
      : { id: encoding.long(0), dtype: index === undefined ? ("int32" as const) : intOf(name, index) };
  const [storage, logical] = storageOf(name, table.byte(2, 0), table.table(3));
  const children = table.tables(5).map((child) => fieldOf(child, depth + 1));
  if ((storage.kind === "list" || storage.kind === "lists") && children.length !== 1)
    throw damaged(`list "${name}" has not one kind of elements`);
  return { name, nullable: table.byte(1, 0) !== 0, storage, logical, children, dictionary };
}

function intOf(name: string, type: FlatTable): DType {
  const dtype = `${type.byte(1, 0) !== 0 ? "int" : "uint"}${type.int(0, 0)}`;
  const found = INTS.find((known) => known === dtype);
  if (found === undefined) throw unread(name, dtype);
  return found;
}

const INTS = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"] as const;
const FLOATS = ["float16", "float32", "float64"] as const;
const UNITS = ["ms", "ms", "us", "ns"] as const;

const fixed = (dtype: DType, times: Scale = 1): Storage => ({ kind: "fixed", dtype, times });

/** By the number of the type in Schema.fbs. */
const TYPES: Readonly<Record<number, (type: FlatTable, name: string) => readonly [Storage, Logical?]>> = {
  1: () => [{ kind: "null" }],
  2: (type, name) => [fixed(intOf(name, type))],
  3: (type, name) => {
    const dtype = FLOATS[type.short(0, 0)];
    if (dtype === undefined) throw unread(name, "a float of another size");
    return [fixed(dtype)];
  },
  4: () => [{ kind: "bytes", wide: false, text: false }],
  5: () => [{ kind: "bytes", wide: false, text: true }],
  6: () => [{ kind: "bits" }],
  7: (type) => {
    const precision = type.int(0, 0);
    const scale = type.int(1, 0);
    return [
      { kind: "blocks", width: type.int(2, 128) / 8, decimal: true },
      { kind: "decimal", precision, scale },
    ];
  },
  8: (type) =>
    type.short(0, 1) === 0 ? [fixed("int32"), { kind: "date" }] : [fixed("int64", "days"), { kind: "date" }],
  9: (type) => {
    const unit = type.short(0, 1);
    return [
      fixed(type.int(1, 32) === 64 ? "int64" : "int32", unit === 0 ? 1000 : 1),
      { kind: "time", unit: UNITS[unit] ?? "ms" },
    ];
  },
  10: (type) => {
    const unit = type.short(0, 0);
    const utc = (type.text(1) ?? "") !== "";
    return [fixed("int64", unit === 0 ? 1000 : 1), { kind: "timestamp", unit: UNITS[unit] ?? "ms", utc }];
  },
  12: () => [{ kind: "list", wide: false }],
  13: () => [{ kind: "struct" }],
  15: (type) => [{ kind: "blocks", width: type.int(0, 0), decimal: false }],
  16: (type) => [{ kind: "lists", size: type.int(0, 0) }],
  17: () => [{ kind: "list", wide: false }],
  18: () => [fixed("int64")],
  19: () => [{ kind: "bytes", wide: true, text: false }],
  20: () => [{ kind: "bytes", wide: true, text: true }],
  21: () => [{ kind: "list", wide: true }],
  23: () => [{ kind: "views", text: false }],
  24: () => [{ kind: "views", text: true }],
};

function storageOf(name: string, code: number, type: FlatTable | undefined): readonly [Storage, Logical?] {
  const read = TYPES[code];
  if (read === undefined) throw unread(name, `type ${code} of Schema.fbs`);
  if (type === undefined) throw damaged(`column "${name}" has no type`);
  return read(type, name);
}

function unread(name: string, given: string): TenonError {
  return new TenonError("FILE_INVALID", {
    problem: `column "${name}" has a type that is not read`,
    given,
    do: "leave the column out, or cast it before the file is written",
  });
}

/** A column that a field gives: fields of structs are columns `outer.inner`. */
export interface ArrowLeaf {
  readonly name: string;
  readonly type: FieldType;
}

/** The columns of a field, in order. */
export function leavesOf(field: ArrowField, prefix = ""): ArrowLeaf[] {
  const name = prefix + field.name;
  const { storage, nullable } = field;
  if (storage.kind === "struct")
    return field.children.flatMap((child) =>
      leavesOf({ ...child, nullable: child.nullable || nullable }, `${name}.`),
    );
  if (storage.kind === "list" || storage.kind === "lists") {
    const [child] = field.children;
    const inner = child!.storage.kind === "struct" ? child!.children : [{ ...child!, name: "" }];
    return inner
      .flatMap((each) => leavesOf(each))
      .map((leaf) => ({
        name: leaf.name === "" ? name : `${name}.${leaf.name}`,
        type: { dtype: { list: leaf.type.dtype }, nullable, logical: leaf.type.logical },
      }));
  }
  return [{ name, type: { dtype: dtypeOf(field), nullable, logical: field.logical } }];
}

export function dtypeOf({ storage, logical }: ArrowField): DType | "utf8" | "binary" {
  switch (storage.kind) {
    case "bits":
      return "bool";
    case "fixed":
      return storage.times === "days" ? "int32" : storage.dtype;
    case "bytes":
    case "views":
      return storage.text ? "utf8" : "binary";
    case "blocks":
      if (!storage.decimal) return "binary";
      return logical?.kind === "decimal" && logical.precision <= 18 ? "int64" : "utf8";
    default:
      return "utf8";
  }
}
