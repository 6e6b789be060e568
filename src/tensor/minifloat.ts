/** Float formats of 8 bits and less (OCP MX and FP8 specifications; the fnuz kinds as ONNX defines them). */

/** One format: where the value bits lie and which codes are special. Codes are unsigned, sign bit on top. */
export interface MiniFloat {
  readonly bits: 4 | 6 | 8;
  readonly signed: boolean;
  readonly mantissa: number;
  readonly bias: number;
  /** Largest magnitude code that is a finite value. */
  readonly maxCode: number;
  /** Magnitude code of infinity; null where the format has none. */
  readonly infinity: number | null;
  /** Code that NaN is written as; null where the format has none. */
  readonly nan: number | null;
  /** False in the fnuz kinds, whose negative zero is NaN. */
  readonly negativeZero: boolean;
}

// biome-ignore format: a table is read by columns
export const MINI_FLOATS = {
  float8e4m3fn:   { bits: 8, signed: true,  mantissa: 3, bias: 7,   maxCode: 0x7e, infinity: null, nan: 0x7f, negativeZero: true },
  float8e4m3fnuz: { bits: 8, signed: true,  mantissa: 3, bias: 8,   maxCode: 0x7f, infinity: null, nan: 0x80, negativeZero: false },
  float8e5m2:     { bits: 8, signed: true,  mantissa: 2, bias: 15,  maxCode: 0x7b, infinity: 0x7c, nan: 0x7e, negativeZero: true },
  float8e5m2fnuz: { bits: 8, signed: true,  mantissa: 2, bias: 16,  maxCode: 0x7f, infinity: null, nan: 0x80, negativeZero: false },
  float8e8m0:     { bits: 8, signed: false, mantissa: 0, bias: 127, maxCode: 0xfe, infinity: null, nan: 0xff, negativeZero: false },
  float6e2m3:     { bits: 6, signed: true,  mantissa: 3, bias: 1,   maxCode: 0x1f, infinity: null, nan: null, negativeZero: true },
  float6e3m2:     { bits: 6, signed: true,  mantissa: 2, bias: 3,   maxCode: 0x1f, infinity: null, nan: null, negativeZero: true },
  float4e2m1:     { bits: 4, signed: true,  mantissa: 1, bias: 1,   maxCode: 0x07, infinity: null, nan: null, negativeZero: true },
} as const satisfies Record<string, MiniFloat>;

/** True for the name of a dtype of this table. */
export function isMiniFloat(dtype: string): dtype is keyof typeof MINI_FLOATS {
  return Object.hasOwn(MINI_FLOATS, dtype);
}

/** Least and largest finite value. */
export function miniFloatRange(dtype: keyof typeof MINI_FLOATS): [least: number, most: number] {
  const format: MiniFloat = MINI_FLOATS[dtype];
  const most = miniFloatMax(format);
  return [format.signed ? -most : 2 ** -format.bias, most];
}

const tables = new Map<MiniFloat, Float32Array>();

/** The value of every code of a format, computed once. */
export function miniFloatValues(format: MiniFloat): Float32Array {
  const known = tables.get(format);
  if (known !== undefined) return known;
  const values = Float32Array.from({ length: 1 << format.bits }, (_, code) => decode(format, code));
  tables.set(format, values);
  return values;
}

function decode(format: MiniFloat, code: number): number {
  const signBit = format.signed ? 1 << (format.bits - 1) : 0;
  const sign = code & signBit ? -1 : 1;
  const magnitude = signBit === 0 ? code : code & (signBit - 1);
  if (code === format.nan) return Number.NaN;
  if (magnitude > format.maxCode) {
    return magnitude === format.infinity ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  }
  const exponent = magnitude >> format.mantissa;
  const fraction = (magnitude & ((1 << format.mantissa) - 1)) / (1 << format.mantissa);
  if (!format.signed) return 2 ** (exponent - format.bias);
  return exponent === 0
    ? sign * fraction * 2 ** (1 - format.bias)
    : sign * (1 + fraction) * 2 ** (exponent - format.bias);
}

/** Largest finite value of a format. */
export function miniFloatMax(format: MiniFloat): number {
  return miniFloatValues(format)[format.maxCode]!;
}

/**
 * The code nearest to a number, ties to even, as ONNX's Cast with `saturate`: what is too large, infinity
 * included, becomes the largest finite value. float8e8m0 rounds up to a power of two; negative numbers are its NaN.
 * `undefined` for NaN where the format has none.
 */
export function encodeMiniFloat(format: MiniFloat, value: number): number | undefined {
  if (Number.isNaN(value) || (!format.signed && value < 0)) return format.nan ?? undefined;
  const negative = value < 0 || Object.is(value, -0);
  const magnitude = magnitudeCode(format, Math.abs(value));
  if (!negative || (magnitude === 0 && !format.negativeZero)) return magnitude;
  return magnitude | (1 << (format.bits - 1));
}

function magnitudeCode(format: MiniFloat, magnitude: number): number {
  if (magnitude >= miniFloatMax(format)) return format.maxCode;
  if (!format.signed) {
    if (magnitude <= 2 ** -format.bias) return 0;
    const exponent = exponentOf(magnitude);
    return (2 ** exponent === magnitude ? exponent : exponent + 1) + format.bias;
  }
  const exponent = Math.max(exponentOf(magnitude), 1 - format.bias);
  const units = roundHalfEven(magnitude / 2 ** (exponent - format.mantissa));
  return ((exponent + format.bias - 1) << format.mantissa) + units;
}

/** floor(log2(x)) of a positive finite number, exact; -Infinity for 0. */
export function exponentOf(magnitude: number): number {
  let exponent = Math.floor(Math.log2(magnitude));
  if (2 ** exponent > magnitude) exponent--;
  else if (2 ** (exponent + 1) <= magnitude) exponent++;
  return exponent;
}

export function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  if (rest > 0.5) return floor + 1;
  if (rest < 0.5) return floor;
  return floor % 2 === 0 ? floor : floor + 1;
}
