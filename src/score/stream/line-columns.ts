/** Fields of lines as the columns that tensors are made of. */
import { TenonError } from "../../base/index.js";
import {
  type Column,
  type Columns,
  type ColumnType,
  type Schema,
  type TensorSpec,
  type TensorSpecs,
  textColumn,
} from "../../data/index.js";
import type { DType } from "../../tensor/index.js";
import type { JsonLine } from "./json-line.js";

/** Names and types as far as the lines tell; a name that is null throughout is a number. */
export function schemaOf(lines: readonly JsonLine[]): Schema {
  const schema = new Map<string, { readonly dtype: ColumnType; readonly nullable: boolean }>();
  const open = new Set<string>();
  for (const { values } of lines)
    for (const [name, value] of Object.entries(values)) {
      if (schema.has(name) && (!open.has(name) || value === null)) continue;
      if (value === null) open.add(name);
      else open.delete(name);
      schema.set(name, { dtype: typeOfValue(value), nullable: true });
    }
  return schema;
}

function typeOfValue(value: unknown): ColumnType {
  if (Array.isArray(value)) return { list: "float64" };
  return typeof value === "string" ? "utf8" : "float64";
}

/** Throws INPUT_MISSING or INPUT_VALUE when a spec cannot be made of this line, whatever its numbers are. */
export function checkLine(line: JsonLine, specs: TensorSpecs): void {
  for (const { kind, columns } of Object.values(specs))
    for (const name of columns) {
      if (!Object.hasOwn(line.values, name))
        throw new TenonError("INPUT_MISSING", { problem: `the line has no field "${name}"` });
      const value = line.values[name];
      const list = Array.isArray(value);
      if (value === null || (kind === "matrix" ? list : kind !== "strings" || typeof value === "string"))
        continue;
      throw new TenonError("INPUT_VALUE", {
        problem: `field "${name}" holds ${kind === "matrix" ? "no list" : "no text"}`,
        given: line.texts.get(name)!.slice(0, 80),
      });
    }
}

/** Columns of lines that `checkLine` took. */
export function lineColumns(lines: readonly JsonLine[], specs: TensorSpecs): Columns {
  const columns: Record<string, Column> = {};
  for (const spec of Object.values(specs))
    for (const name of spec.columns) columns[name] ??= columnOf(name, spec, lines);
  return columns;
}

function columnOf(name: string, { kind, dtype }: TensorSpec, lines: readonly JsonLine[]): Column {
  const values = lines.map((line) => line.values[name]);
  const texts = (i: number): string => lines[i]!.texts.get(name)!;
  if (kind === "strings") return textColumn(values as (string | null)[]);
  if (kind !== "matrix") return numbers(values, texts, dtype);
  const offsets = new Int32Array(lines.length + 1);
  const valid = new Uint8Array(lines.length);
  const all: unknown[] = [];
  const allTexts: string[] = [];
  values.forEach((value, i) => {
    const flat = value === null ? [] : (value as readonly unknown[]).flat(Number.POSITIVE_INFINITY);
    valid[i] = value === null ? 0 : 1;
    const own = elementTexts(flat, texts(i));
    flat.forEach((element, j) => {
      all.push(element);
      allTexts.push(own[j]!);
    });
    offsets[i + 1] = all.length;
  });
  return { kind: "list", offsets, child: numbers(all, (i) => allTexts[i]!, dtype), valid };
}

/** The elements of a list as they were written, when they are numbers; else as JavaScript writes them. */
function elementTexts(elements: readonly unknown[], text: string): readonly string[] {
  if (elements.every((element) => typeof element === "number")) {
    const written = text.split(/[[\],\s]+/).filter((part) => part !== "");
    if (written.length === elements.length) return written;
  }
  return elements.map((element) => JSON.stringify(element));
}

/** Numbers as such where float64 is enough for the dtype; otherwise as their texts. */
function numbers(values: readonly unknown[], text: (i: number) => string, dtype: DType | undefined): Column {
  if (dtype === "bool") values = values.map((value) => (typeof value === "boolean" ? Number(value) : value));
  if (
    dtype !== "int64" &&
    dtype !== "uint64" &&
    values.every((value) => typeof value === "number" && Number.isFinite(value))
  )
    return { kind: "fixed", dtype: "float64", values: Float64Array.from(values as number[]), valid: null };
  return textColumn(
    values.map((value, i) => {
      if (value === null || typeof value === "string") return value;
      return typeof value === "number" && dtype === "bool" ? String(value) : text(i);
    }),
  );
}
