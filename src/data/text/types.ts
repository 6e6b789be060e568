/** Types of text columns as callers give them, and as the first block of a file shows them. */
import { suggest, TenonError } from "../../base/index.js";
import { DTYPES, type DType, dtypeInfo, isDType } from "../../tensor/index.js";
import type { ColumnType, FieldType, Logical } from "../column.js";
import { parseNumber } from "../number.js";

/**
 * What the cells of a column are: a dtype of tensors, `utf8`, a list of one of them (JSON in CSV), or an ISO 8601 `date`
 * or `timestamp` (microseconds; without a zone it is UTC).
 */
export type CellType = DType | "utf8" | "date" | "timestamp" | { readonly list: ColumnType };

const TIMES: Readonly<Record<string, FieldType>> = {
  date: { dtype: "int32", nullable: true, logical: { kind: "date" } satisfies Logical },
  timestamp: {
    dtype: "int64",
    nullable: true,
    logical: { kind: "timestamp", unit: "us", utc: true } satisfies Logical,
  },
};

/** Throws USAGE for what is no type of cells. */
export function fieldOf(column: string, type: CellType): FieldType {
  if (typeof type === "object") {
    if (type.list === "binary") throw noType(column, "list of binary");
    fieldOf(column, type.list as CellType);
    return { dtype: type, nullable: true };
  }
  const time = TIMES[type];
  if (time !== undefined) return time;
  if (type === "utf8") return { dtype: "utf8", nullable: true };
  if (!isDType(type)) throw noType(column, String(type));
  const { kind, bits } = dtypeInfo(type);
  if (kind === "complex" || kind === "string" || bits < 8 || (kind === "float" && bits < 16))
    throw noType(column, type);
  return { dtype: type, nullable: true };
}

function noType(column: string, given: string): TenonError {
  return new TenonError("USAGE", {
    problem: `column "${column}" has no type for cells of text`,
    given,
    expected: suggest(given, ["utf8", "date", "timestamp", ...Object.keys(DTYPES)], 12),
  });
}

/** The narrowest type of texts seen so far. */
export type Seen = "nothing" | "int64" | "float64" | "bool" | "utf8";

/** Whole numbers without leading zeros within int64; other numbers; true and false; else text. */
export function seenIn(text: string): Seen {
  if (/^[+-]?(0|[1-9][0-9]*)$/.test(text))
    return text.length < 19 || BigInt.asIntN(64, BigInt(text)) === BigInt(text) ? "int64" : "float64";
  if (/^(true|false)$/i.test(text)) return "bool";
  // A code such as 007 is no number.
  if (/^[+-]?0[0-9]/.test(text)) return "utf8";
  return parseNumber(text) === undefined ? "utf8" : "float64";
}

export function widest(a: Seen, b: Seen): Seen {
  if (a === b || b === "nothing") return a;
  if (a === "nothing") return b;
  const numbers = a !== "bool" && b !== "bool" && a !== "utf8" && b !== "utf8";
  return numbers ? "float64" : "utf8";
}
