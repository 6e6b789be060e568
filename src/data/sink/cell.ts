/** Cells as text: what CSV and JSON lines write for a value, such that reading gives the same value. */
import { TenonError } from "../../base/index.js";
import { dtypeInfo, readElement } from "../../tensor/index.js";
import { type Column, decodeText, type FixedColumn, type Logical } from "../column.js";

/** The value of a row that is not null. */
export interface Cells {
  /** JSON: a number, true, false, a quoted text or a list. */
  json(row: number): string;
  /** The same without quotes around it. */
  text(row: number): string;
}

/** Printers of a column's rows. */
export function cellsOf(column: Column): Cells {
  if (column.kind === "list") {
    const { offsets, child } = column;
    const inner = cellsOf(child);
    const print = (row: number): string => {
      const items: string[] = [];
      for (let i = offsets[row]!; i < offsets[row + 1]!; i++)
        items.push(child.valid !== null && child.valid[i] === 0 ? "null" : inner.json(i));
      return `[${items.join(",")}]`;
    };
    return { json: print, text: print };
  }
  if (column.kind === "utf8") {
    const { bytes, offsets, dtype } = column;
    const text = (row: number): string => {
      const value = bytes.subarray(offsets[row]!, offsets[row + 1]!);
      return dtype === "utf8" ? decodeText(value) : Buffer.from(value).toString("base64");
    };
    // A decimal of many digits is a number; JSON's readers would cut it.
    return { text, json: (row) => JSON.stringify(text(row)) };
  }
  return numbers(column);
}

function numbers(column: FixedColumn): Cells {
  const { dtype, values, logical } = column;
  if (logical !== undefined) {
    const print = printerOf(logical);
    const text = (row: number): string => print(BigInt(values[row]!));
    return { text, json: logical.kind === "decimal" ? text : (row) => `"${text(row)}"` };
  }
  const { kind, bits } = dtypeInfo(dtype);
  if (kind === "bool") {
    const text = (row: number): string => (values[row] === 0 ? "false" : "true");
    return { text, json: text };
  }
  if (kind !== "float") {
    const text = (row: number): string => String(values[row]!);
    return { text, json: text };
  }
  const read =
    bits < 32
      ? (row: number): number => readElement(dtype, values, row) as number
      : (row: number): number => values[row] as number;
  const print = bits < 64 ? shortFloat32 : printDouble;
  const text = (row: number): string => print(read(row));
  return {
    text,
    json: (row) => {
      const value = read(row);
      return Number.isFinite(value) ? print(value) : `"${value}"`;
    },
  };
}

function printDouble(value: number): string {
  return Object.is(value, -0) ? "-0.0" : String(value);
}

/** The shortest decimal number that rounds to this float32. */
function shortFloat32(value: number): string {
  if (Number.isInteger(value) && Math.abs(value) < 16_777_216) return printDouble(value);
  for (let digits = 6; digits < 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === value) return String(Number(text));
  }
  return String(Number(value.toPrecision(9)));
}

const UNITS = { ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n } as const;

function printerOf(logical: Logical): (value: bigint) => string {
  switch (logical.kind) {
    case "date":
      return (value) => dayOf(value);
    case "decimal":
      return (value) => pointed(value, logical.scale);
    case "time": {
      const unit = UNITS[logical.unit];
      return (value) => timeOfDay(value, unit);
    }
    case "timestamp": {
      const unit = UNITS[logical.unit];
      return (value) => {
        const perDay = 86_400n * unit;
        const days = floorDivide(value, perDay);
        return `${dayOf(days)}T${timeOfDay(value - days * perDay, unit)}${logical.utc ? "Z" : ""}`;
      };
    }
  }
}

function floorDivide(a: bigint, b: bigint): bigint {
  return a >= 0n ? a / b : -((b - 1n - a) / b);
}

function dayOf(days: bigint): string {
  const date = new Date(Number(days) * 86_400_000);
  const year = Number.isNaN(date.getTime()) ? -1 : date.getUTCFullYear();
  if (year >= 0 && year <= 9999) return date.toISOString().slice(0, 10);
  throw new TenonError("TENSOR_VALUE", {
    problem: "a date outside the years 0 to 9999 has no text",
    given: `day ${days} from 1970-01-01 on`,
  });
}

function timeOfDay(value: bigint, unit: bigint): string {
  const seconds = Number(value / unit);
  const two = (part: number): string => String(part).padStart(2, "0");
  const time = `${two(Math.floor(seconds / 3600))}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
  const fraction = value % unit;
  return fraction === 0n ? time : `${time}.${String(fraction).padStart(String(unit).length - 1, "0")}`;
}

/** `-12345` with scale 2 → `-123.45`. */
function pointed(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled);
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const point = digits.length - scale;
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, point)}.${digits.slice(point)}`;
}
