/** Decimals stored as bytes: unscaled int64 up to 18 digits, exact text above. */
import type { Column } from "../column.js";
import { invalid } from "./thrift.js";
import type { ByteValues } from "./values.js";

export interface DecimalKind {
  readonly dtype: "int64" | "utf8";
  readonly precision: number;
  readonly scale: number;
}

const encoder = new TextEncoder();

export function decimalColumn(
  values: Pick<ByteValues, "bytes" | "offsets">,
  { dtype, precision, scale }: DecimalKind,
  rows: number,
  valid: Uint8Array | null,
): Column {
  const logical = { kind: "decimal", precision, scale } as const;
  const { bytes, offsets } = values;
  if (dtype === "int64") {
    const unscaled = new BigInt64Array(rows);
    for (let i = 0; i < rows; i++) {
      const value = unscaledAt(bytes, offsets[i]!, offsets[i + 1]!);
      if (BigInt.asIntN(64, value) !== value) throw invalid("a decimal has more digits than its type");
      unscaled[i] = value;
    }
    return { kind: "fixed", dtype: "int64", values: unscaled, valid, logical };
  }
  const parts: Uint8Array[] = [];
  const ends = new Int32Array(rows + 1);
  for (let i = 0; i < rows; i++) {
    const missing = valid !== null && valid[i] === 0;
    const part = encoder.encode(
      missing ? "" : decimalText(unscaledAt(bytes, offsets[i]!, offsets[i + 1]!), scale),
    );
    parts.push(part);
    ends[i + 1] = ends[i]! + part.length;
  }
  return { kind: "utf8", dtype: "utf8", bytes: Buffer.concat(parts), offsets: ends, valid, logical };
}

/** Big-endian two's complement. */
function unscaledAt(bytes: Uint8Array, start: number, end: number): bigint {
  if (end - start > 32) throw invalid("a decimal of more than 32 bytes");
  let value = 0n;
  for (let i = start; i < end; i++) value = (value << 8n) | BigInt(bytes[i]!);
  return BigInt.asIntN(Math.max(1, 8 * (end - start)), value);
}

/** `-12345` with scale 2 → `-123.45`. */
function decimalText(unscaled: bigint, scale: number): string {
  if (scale === 0) return String(unscaled);
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const point = digits.length - scale;
  return `${unscaled < 0n ? "-" : ""}${digits.slice(0, point)}.${digits.slice(point)}`;
}
