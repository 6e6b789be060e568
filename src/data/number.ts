/** Stored values as numbers: half floats widened, decimals scaled; and times as text. */
import { TenonError } from "../base/index.js";
import { bfloat16ToNumber, float16ToNumber } from "../tensor/index.js";
import type { FixedColumn, Logical } from "./column.js";

/** Reads row i as the number that it means; int64 and uint64 stay bigint unless they are decimals. */
export function numberReader(column: FixedColumn): (row: number) => number | bigint {
  const { values, dtype, logical } = column;
  if (logical?.kind === "decimal") {
    const scale = 10 ** logical.scale;
    return (row) => Number(values[row]!) / scale;
  }
  if (dtype === "float16") return (row) => float16ToNumber(values[row] as number);
  if (dtype === "bfloat16") return (row) => bfloat16ToNumber(values[row] as number);
  return (row) => values[row]!;
}

const PER_SECOND = { ms: 1000n, us: 1_000_000n, ns: 1_000_000_000n } as const;

/** ISO 8601 text of a date or timestamp, to the column's own precision; times since midnight as HH:MM:SS. */
export function timestampText(value: number | bigint, logical: Logical): string {
  if (logical.kind === "date") return new Date(Number(value) * 86_400_000).toISOString().slice(0, 10);
  if (logical.kind === "decimal") throw new TenonError("INTERNAL", { problem: "a decimal is no time" });
  const per = PER_SECOND[logical.unit];
  const total = BigInt(value);
  let seconds = total / per;
  let rest = total % per;
  if (rest < 0n) {
    rest += per;
    seconds -= 1n;
  }
  const date = new Date(Number(seconds) * 1000);
  if (Number.isNaN(date.getTime()))
    throw new TenonError("TENSOR_VALUE", {
      problem: "a time lies outside the calendar",
      given: String(value),
    });
  const iso = date.toISOString();
  const digits = String(per).length - 1;
  const text = `${iso.slice(0, iso.indexOf("."))}.${String(rest).padStart(digits, "0")}`;
  if (logical.kind === "time") return text.slice(text.indexOf("T") + 1);
  return logical.utc ? `${text}Z` : text;
}
