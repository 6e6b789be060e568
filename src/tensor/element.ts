/** Single elements of every dtype between storage and JavaScript values: one codec a dtype, in one total table. */
import { TenonError } from "../base/index.js";
import type { DType, NumericArray } from "./dtype.js";
import { bfloat16ToNumber, float16ToNumber, numberToBfloat16, numberToFloat16 } from "./float16.js";
import { encodeMiniFloat, MINI_FLOATS, type MiniFloat, miniFloatMax, miniFloatValues } from "./minifloat.js";
import type { Storage } from "./storage.js";
import type { StringStorage } from "./strings.js";

/** A JavaScript value of one element: bigint for 64-bit ints, boolean for bool, [re, im] for complex. */
export type Element = number | bigint | boolean | string | readonly [number, number];

interface Codec<S> {
  /** What `write` takes, as a phrase for errors. */
  readonly takes: string;
  readonly read: (storage: S, index: number) => Element;
  /** Stores a value; false, and nothing stored, when the dtype cannot hold it. Floats round to nearest, ties to even. */
  readonly write: (storage: S, index: number, value: Element) => boolean;
}

type SmallInts = Int8Array | Int16Array | Int32Array | Uint8Array | Uint16Array | Uint32Array;

const isNumber = (value: Element): value is number => typeof value === "number";

/** False for a finite number that rounds to infinity. */
const fitsFloat32 = (value: number): boolean =>
  Number.isFinite(Math.fround(value)) || !Number.isFinite(value);

const float64: Codec<Float64Array> = {
  takes: "a number",
  read: (storage, index) => storage[index]!,
  write: (storage, index, value) => {
    if (!isNumber(value)) return false;
    storage[index] = value;
    return true;
  },
};

const float32: Codec<Float32Array> = {
  takes: "a number of magnitude below 3.41e38, an infinity or NaN",
  read: (storage, index) => storage[index]!,
  write: (storage, index, value) => {
    if (!isNumber(value) || !fitsFloat32(value)) return false;
    storage[index] = value;
    return true;
  },
};

function halfFloat(
  takes: string,
  decode: (bits: number) => number,
  encode: (value: number) => number,
): Codec<Uint16Array> {
  return {
    takes,
    read: (storage, index) => decode(storage[index]!),
    write: (storage, index, value) => {
      if (!isNumber(value)) return false;
      const bits = encode(value);
      if (Number.isFinite(value) && !Number.isFinite(decode(bits))) return false;
      storage[index] = bits;
      return true;
    },
  };
}

function miniFloat(format: MiniFloat): Codec<Uint8Array> {
  const values = miniFloatValues(format);
  const max = miniFloatMax(format);
  const specials = [
    ...(format.infinity === null ? [] : ["an infinity"]),
    ...(format.nan === null ? [] : ["NaN"]),
  ];
  const range = format.signed ? `from ${-max} to ${max}` : `from ${2 ** -format.bias} to ${max}`;
  const least = format.signed ? -max : 2 ** -format.bias;
  return {
    takes: [`a number ${range}`, ...specials].join(" or "),
    read: (storage, index) => values[readBits(storage, index, format.bits)]!,
    write: (storage, index, value) => {
      if (!isNumber(value)) return false;
      if (format.infinity !== null && Math.abs(value) === Number.POSITIVE_INFINITY) {
        storage[index] = value > 0 ? format.infinity : format.infinity | 0x80;
        return true;
      }
      if (value < least || value > max) return false;
      const code = encodeMiniFloat(format, value);
      if (code === undefined) return false;
      writeBits(storage, index, format.bits, code);
      return true;
    },
  };
}

/** An integer value as a number, when it is one from low to high. */
function integerIn(value: Element, low: number, high: number): number | undefined {
  if (typeof value !== "bigint" && !Number.isInteger(value)) return undefined;
  const number = Number(value);
  return number >= low && number <= high ? number : undefined;
}

function smallInt(low: number, high: number): Codec<SmallInts> {
  return {
    takes: `an integer from ${low} to ${high}`,
    read: (storage, index) => storage[index]!,
    write: (storage, index, value) => {
      const integer = integerIn(value, low, high);
      if (integer === undefined) return false;
      storage[index] = integer;
      return true;
    },
  };
}

function bigInt(low: bigint, high: bigint): Codec<BigInt64Array | BigUint64Array> {
  return {
    takes: `a bigint from ${low} to ${high}, or a number that is a safe integer`,
    read: (storage, index) => storage[index]!,
    write: (storage, index, value) => {
      if (typeof value !== "bigint" && !Number.isSafeInteger(value)) return false;
      const integer = BigInt(value as bigint | number);
      if (integer < low || integer > high) return false;
      storage[index] = integer;
      return true;
    },
  };
}

function packedInt(bits: 2 | 4, signed: boolean): Codec<Uint8Array> {
  const high = signed ? 2 ** (bits - 1) - 1 : 2 ** bits - 1;
  const low = signed ? -high - 1 : 0;
  const unused = 32 - bits;
  return {
    takes: `an integer from ${low} to ${high}`,
    read: (storage, index) => {
      const code = readBits(storage, index, bits);
      return signed ? (code << unused) >> unused : code;
    },
    write: (storage, index, value) => {
      const integer = integerIn(value, low, high);
      if (integer === undefined) return false;
      writeBits(storage, index, bits, integer & (2 ** bits - 1));
      return true;
    },
  };
}

const bool: Codec<Uint8Array> = {
  takes: "true or false",
  read: (storage, index) => storage[index] !== 0,
  write: (storage, index, value) => {
    if (typeof value !== "boolean") return false;
    storage[index] = value ? 1 : 0;
    return true;
  },
};

function complex(takes: string, fits: (part: number) => boolean): Codec<Float32Array | Float64Array> {
  return {
    takes,
    read: (storage, index) => [storage[2 * index]!, storage[2 * index + 1]!],
    write: (storage, index, value) => {
      if (!Array.isArray(value) || value.length !== 2) return false;
      const [re, im] = value as [unknown, unknown];
      if (typeof re !== "number" || typeof im !== "number" || !fits(re) || !fits(im)) return false;
      storage[2 * index] = re;
      storage[2 * index + 1] = im;
      return true;
    },
  };
}

const string: Codec<StringStorage> = {
  takes: "a string",
  read: (storage, index) => storage.get(index),
  write: () => {
    throw new TenonError("TENSOR_DTYPE", {
      problem: "string storage does not change",
      do: "make a new tensor from the strings",
    });
  },
};

// biome-ignore format: a table is read by columns
const CODECS: { readonly [D in DType]: Codec<Storage<D>> } = {
  float64,
  float32,
  float16:        halfFloat("a number of magnitude below 65520, an infinity or NaN", float16ToNumber, numberToFloat16),
  bfloat16:       halfFloat("a number of magnitude below 3.4e38, an infinity or NaN", bfloat16ToNumber, numberToBfloat16),
  float8e4m3fn:   miniFloat(MINI_FLOATS.float8e4m3fn),
  float8e4m3fnuz: miniFloat(MINI_FLOATS.float8e4m3fnuz),
  float8e5m2:     miniFloat(MINI_FLOATS.float8e5m2),
  float8e5m2fnuz: miniFloat(MINI_FLOATS.float8e5m2fnuz),
  float8e8m0:     miniFloat(MINI_FLOATS.float8e8m0),
  float6e2m3:     miniFloat(MINI_FLOATS.float6e2m3),
  float6e3m2:     miniFloat(MINI_FLOATS.float6e3m2),
  float4e2m1:     miniFloat(MINI_FLOATS.float4e2m1),
  int64:          bigInt(-(2n ** 63n), 2n ** 63n - 1n),
  int32:          smallInt(-(2 ** 31), 2 ** 31 - 1),
  int16:          smallInt(-(2 ** 15), 2 ** 15 - 1),
  int8:           smallInt(-128, 127),
  int4:           packedInt(4, true),
  int2:           packedInt(2, true),
  uint64:         bigInt(0n, 2n ** 64n - 1n),
  uint32:         smallInt(0, 2 ** 32 - 1),
  uint16:         smallInt(0, 2 ** 16 - 1),
  uint8:          smallInt(0, 255),
  uint4:          packedInt(4, false),
  uint2:          packedInt(2, false),
  bool,
  string,
  complex64:      complex("a pair [re, im] of float32 numbers", fitsFloat32),
  complex128:     complex("a pair [re, im] of numbers", () => true),
};

/** The code at an index of packed storage; element 0 lies in the low bits of byte 0. */
export function readBits(storage: Uint8Array, index: number, bits: number): number {
  if (bits === 8) return storage[index]!;
  const bit = index * bits;
  const byte = Math.floor(bit / 8);
  return ((storage[byte]! | ((storage[byte + 1] ?? 0) << 8)) >> (bit % 8)) & ((1 << bits) - 1);
}

/** Replaces the code at an index of packed storage. */
export function writeBits(storage: Uint8Array, index: number, bits: number, code: number): void {
  if (bits === 8) {
    storage[index] = code;
    return;
  }
  const bit = index * bits;
  const byte = Math.floor(bit / 8);
  const shift = bit % 8;
  const mask = ((1 << bits) - 1) << shift;
  storage[byte] = (storage[byte]! & ~mask) | (code << shift);
  if (shift + bits > 8) storage[byte + 1] = (storage[byte + 1]! & ~(mask >> 8)) | ((code << shift) >> 8);
}

/** The codec of a dtype for storage whose dtype is only known at run time; the caller pairs the two rightly. */
function codecOf(dtype: DType): Codec<Storage | NumericArray> {
  return CODECS[dtype] as Codec<Storage | NumericArray>;
}

/** The element at a storage index (in elements). */
export function readElement(dtype: DType, storage: NumericArray | StringStorage, index: number): Element {
  return codecOf(dtype).read(storage, index);
}

/** Stores an element at a storage index; false, and nothing stored, when the dtype cannot hold the value exactly enough. */
export function tryWriteElement(dtype: DType, storage: NumericArray, index: number, value: Element): boolean {
  return codecOf(dtype).write(storage, index, value);
}

/** What a dtype's elements are, as a phrase for errors: `an integer from -128 to 127`. */
export function elementPhrase(dtype: DType): string {
  return CODECS[dtype].takes;
}

/**
 * Stores a JavaScript value at a storage index (in elements). Floats round to nearest; throws TENSOR_VALUE for a
 * value of the wrong kind, out of the dtype's range, or with a fraction where the dtype holds integers.
 */
export function writeElement(dtype: DType, storage: NumericArray, index: number, value: Element): void {
  if (tryWriteElement(dtype, storage, index, value)) return;
  throw new TenonError("TENSOR_VALUE", {
    problem: `the value does not fit ${dtype}`,
    given: describeValue(value),
    expected: elementPhrase(dtype),
  });
}

/** A short text of any value for an error message. */
export function describeValue(value: unknown): string {
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 60)}…` : value);
  if (typeof value === "object" && value !== null) return Array.isArray(value) ? "an array" : "an object";
  return Object.is(value, -0) ? "-0" : String(value);
}
