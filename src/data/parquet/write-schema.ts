/** The schema of a written file: how each column type is stored, and what the footer says of it. */
import { TenonError } from "../../base/index.js";
import type { DType } from "../../tensor/index.js";
import { type FieldType, type Logical, printType } from "../column.js";
import { PHYSICAL, type Physical } from "./footer.js";
import type { ThriftField } from "./thrift.js";

export interface Storage {
  readonly physical: Physical;
  readonly path: readonly string[];
  readonly element: Exclude<FieldType["dtype"], object>;
  readonly isList: boolean;
}

const PHYSICAL_OF: Readonly<Partial<Record<DType | "utf8" | "binary", Physical>>> = {
  bool: "BOOLEAN",
  int8: "INT32",
  int16: "INT32",
  int32: "INT32",
  uint8: "INT32",
  uint16: "INT32",
  uint32: "INT32",
  int64: "INT64",
  uint64: "INT64",
  float32: "FLOAT",
  bfloat16: "FLOAT",
  float64: "DOUBLE",
  float16: "FIXED_LEN_BYTE_ARRAY",
  utf8: "BYTE_ARRAY",
  binary: "BYTE_ARRAY",
};

/** How a column is stored. Throws TENSOR_DTYPE for types that are not written. */
export function storageOf(name: string, { dtype }: FieldType): Storage {
  const inner = typeof dtype === "string" ? dtype : dtype.list;
  const physical = typeof inner === "string" ? PHYSICAL_OF[inner] : undefined;
  if (physical === undefined || typeof inner !== "string") {
    throw new TenonError("TENSOR_DTYPE", {
      problem: `column "${name}" cannot be written to Parquet`,
      given: printType(dtype),
      expected: "numbers, bools, texts, bytes, or lists of them",
    });
  }
  const isList = typeof dtype !== "string";
  return { physical, path: isList ? [name, "list", "element"] : [name], element: inner, isList };
}

/** Elements of the schema: the root, then the columns; a list is three of them. */
export function schemaElements(fields: ReadonlyMap<string, FieldType>): ThriftField[][] {
  const elements: ThriftField[][] = [
    [
      [4, "binary", "schema"],
      [5, "i32", fields.size],
    ],
  ];
  for (const [name, field] of fields) {
    const { isList, element } = storageOf(name, field);
    const repetition = field.nullable ? 1 : 0;
    if (!isList) {
      elements.push(leafElement(name, element, repetition, field.logical));
      continue;
    }
    elements.push(
      [
        [3, "i32", repetition],
        [4, "binary", name],
        [5, "i32", 1],
        [6, "i32", 3],
        [10, "struct", [[3, "struct", []]]],
      ],
      [
        [3, "i32", 2],
        [4, "binary", "list"],
        [5, "i32", 1],
      ],
      leafElement("element", element, 1, field.logical),
    );
  }
  return elements;
}

const UNITS = { ms: 1, us: 2, ns: 3 } as const;
const INTEGERS: Readonly<Record<string, readonly [bits: number, signed: boolean, converted: number]>> = {
  uint8: [8, false, 11],
  uint16: [16, false, 12],
  uint32: [32, false, 13],
  uint64: [64, false, 14],
  int8: [8, true, 15],
  int16: [16, true, 16],
};

function leafElement(
  name: string,
  dtype: string,
  repetition: number,
  logical: Logical | undefined,
): ThriftField[] {
  const physical = PHYSICAL_OF[dtype as DType]!; // checked by storageOf
  const fields: ThriftField[] = [[1, "i32", PHYSICAL.indexOf(physical)]];
  if (dtype === "float16") fields.push([2, "i32", 2]);
  fields.push([3, "i32", repetition], [4, "binary", name]);
  const integer = INTEGERS[dtype];
  if (dtype === "utf8") fields.push([6, "i32", 0], [10, "struct", [[1, "struct", []]]]);
  else if (dtype === "float16") fields.push([10, "struct", [[15, "struct", []]]]);
  else if (integer !== undefined)
    // The bit width is one signed byte, which `i32` of a value below 64 is not; the converted type says the same.
    fields.push([6, "i32", integer[2]]);
  else if (logical?.kind === "decimal")
    fields.push([6, "i32", 5], [7, "i32", logical.scale], [8, "i32", logical.precision]);
  else if (logical?.kind === "date") fields.push([6, "i32", 6], [10, "struct", [[6, "struct", []]]]);
  else if (logical?.kind === "timestamp")
    fields.push([
      10,
      "struct",
      [
        [
          8,
          "struct",
          [
            [1, "bool", logical.utc],
            [2, "struct", [[UNITS[logical.unit], "struct", []]]],
          ],
        ],
      ],
    ]);
  else if (logical?.kind === "time")
    fields.push([
      10,
      "struct",
      [
        [
          7,
          "struct",
          [
            [1, "bool", false],
            [2, "struct", [[UNITS[logical.unit], "struct", []]]],
          ],
        ],
      ],
    ]);
  return fields;
}
