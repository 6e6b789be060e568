/** Stored values as numbers: half floats widened, decimals scaled, texts parsed; and texts of times as stored values. */
import { TenonError } from "../base/index.js";
import { dtypeInfo, readElement } from "../tensor/index.js";
import { decodeText, type FixedColumn, type Logical, type TextColumn } from "./column.js";

/** Reads row i as the number that it means; int64 and uint64 stay bigint unless they are decimals. */
export function numberReader(column: FixedColumn): (row: number) => number | bigint {
  const { values, dtype, logical } = column;
  if (logical?.kind === "decimal") {
    const scale = 10 ** logical.scale;
    return (row) => Number(values[row]!) / scale;
  }
  const { kind, bits } = dtypeInfo(dtype);
  if (kind === "float" && bits < 32) return (row) => readElement(dtype, values, row) as number;
  return (row) => values[row]!;
}

/** Reads row i of a text column as a number; the reader throws TENSOR_VALUE, naming column and row. */
export function textNumberReader(name: string, column: TextColumn): (row: number) => number | bigint {
  return (row) => {
    const [start, end] = [column.offsets[row]!, column.offsets[row + 1]!];
    const plain = plainNumber(column.bytes, start, end);
    if (plain !== undefined) return plain;
    const text = decodeText(column.bytes.subarray(start, end)).trim();
    const value = parseNumber(text);
    if (value !== undefined) return value;
    throw new TenonError("TENSOR_VALUE", {
      problem: `a text of column "${name}" is no number`,
      given: `"${text.slice(0, 80)}" in row ${row}`,
      details: { column: name, row },
    });
  };
}

const WORDS: ReadonlyMap<string, number> = new Map([
  ["nan", Number.NaN],
  ["inf", Number.POSITIVE_INFINITY],
  ["+inf", Number.POSITIVE_INFINITY],
  ["-inf", Number.NEGATIVE_INFINITY],
  ["infinity", Number.POSITIVE_INFINITY],
  ["-infinity", Number.NEGATIVE_INFINITY],
  ["true", 1],
  ["false", 0],
]);

const POWERS = Array.from({ length: 23 }, (_, i) => 10 ** i);

/**
 * The number that plain digits spell, such as `-12.5`, where its value is exact at once: digits below 2^53 divided by a
 * power of ten that a double holds round once. undefined: the long way decides.
 */
export function plainNumber(bytes: Uint8Array, from: number, to: number): number | undefined {
  let at = from;
  const sign = bytes[at];
  if (sign === 45 || sign === 43) at++;
  let digits = 0;
  const start = at;
  for (; at < to; at++) {
    const digit = bytes[at]! - 48;
    if (digit < 0 || digit > 9) break;
    digits = digits * 10 + digit;
  }
  let scale = 0;
  let count = at - start;
  if (at < to && bytes[at] === 46) {
    const point = ++at;
    for (; at < to; at++) {
      const digit = bytes[at]! - 48;
      if (digit < 0 || digit > 9) break;
      digits = digits * 10 + digit;
    }
    scale = at - point;
    count += scale;
  }
  if (at !== to || count === 0 || scale > 22 || digits >= 2 ** 53) return undefined;
  const value = scale === 0 ? digits : digits / POWERS[scale]!;
  return sign === 45 ? -value : value;
}

/** Decimal numbers, NaN and infinities, true and false; whole numbers beyond 2^53 stay exact. */
export function parseNumber(text: string): number | bigint | undefined {
  if (/^[+-]?[0-9]+$/.test(text)) {
    const value = Number(text);
    return Number.isSafeInteger(value) ? value : BigInt(text.replace("+", ""));
  }
  if (/^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$/.test(text)) return Number(text);
  return WORDS.get(text.toLowerCase());
}

const FRACTION_DIGITS = { ms: 3, us: 6, ns: 9 } as const;
const ISO = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?$/;

/**
 * The stored value of an ISO 8601 text: days of a date, units of a timestamp. A timestamp of a point in time takes a text
 * without zone as UTC; one of a local time, and a date, take none. undefined: the column cannot hold such a text.
 */
export function timeOf(text: string, logical: Logical): bigint | undefined {
  const match = ISO.exec(text);
  if (match === null) return undefined;
  const [, day, hour, minute, second = "00", fraction = "", zone] = match;
  const midnight = Date.parse(`${day}T00:00:00Z`);
  // Date.parse takes the 30th of February for a day in March.
  if (Number.isNaN(midnight) || new Date(midnight).toISOString().slice(0, 10) !== day) return undefined;
  if (logical.kind === "date") return hour === undefined ? BigInt(midnight / 86_400_000) : undefined;
  if (logical.kind !== "timestamp" || (zone !== undefined && !logical.utc)) return undefined;
  const digits = FRACTION_DIGITS[logical.unit];
  if (Number(hour ?? 0) > 23 || Number(minute ?? 0) > 59 || Number(second) > 59) return undefined;
  if (/[1-9]/.test(fraction.slice(digits))) return undefined;
  let seconds = midnight / 1000 + 3600 * Number(hour ?? 0) + 60 * Number(minute ?? 0) + Number(second);
  if (zone !== undefined && zone !== "Z")
    seconds -= (zone[0] === "-" ? -60 : 60) * (60 * Number(zone.slice(1, 3)) + Number(zone.slice(4)));
  return BigInt(seconds) * 10n ** BigInt(digits) + BigInt(fraction.slice(0, digits).padEnd(digits, "0"));
}
