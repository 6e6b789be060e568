/** float16 and bfloat16 bit patterns to and from float32 (IEEE 754 binary16; round to nearest, ties to even). */
import { TenonError } from "../base/index.js";
import { exponentOf, roundHalfEven } from "./minifloat.js";

const word = new Uint32Array(1);
const float = new Float32Array(word.buffer);

/** Number that a float16 bit pattern stands for. */
export function float16ToNumber(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** float16 bit pattern nearest to a number; overflow gives infinity. Rounds once, from double. */
export function numberToFloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  if (magnitude < 2 ** -14) return sign | roundHalfEven(magnitude * 2 ** 24);
  const exponent = exponentOf(magnitude);
  return sign | (((exponent + 15) << 10) + roundHalfEven((magnitude / 2 ** exponent - 1) * 1024));
}

/** Number that a bfloat16 bit pattern stands for. */
export function bfloat16ToNumber(bits: number): number {
  word[0] = bits << 16;
  return float[0]!;
}

/** bfloat16 bit pattern nearest to a number (through float32, as every framework does); overflow gives infinity. */
export function numberToBfloat16(value: number): number {
  float[0] = value;
  const bits = word[0]!;
  if (Number.isNaN(value)) return ((bits >>> 16) | 0x40) & 0xffff;
  return ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16) & 0xffff;
}

let decoded: Float32Array | undefined;

/** The value of each of the 65,536 float16 bit patterns, computed at the first call. */
export function float16Values(): Float32Array {
  decoded ??= Float32Array.from({ length: 65536 }, (_, bits) => float16ToNumber(bits));
  return decoded;
}

/** float16 bit patterns of `count` float32 values, `step` entries apart in the target. */
export function encodeFloat16(
  from: Float32Array,
  at: number,
  to: Uint16Array,
  index: number,
  step: number,
  count: number,
): void {
  for (let i = 0; i < count; i++, index += step) {
    float[0] = from[at + i]!;
    const bits = word[0]!;
    const sign = (bits >>> 16) & 0x8000;
    const magnitude = bits & 0x7fffffff;
    if (magnitude >= 0x47800000) {
      // 65536 and more, infinities and NaN.
      to[index] = sign | (magnitude > 0x7f800000 ? 0x7e00 : 0x7c00);
    } else if (magnitude < 0x38800000) {
      // Below the smallest normal: adding 0.5 lets the float32 rounding drop the right bits.
      word[0] = magnitude;
      float[0] = float[0]! + 0.5;
      to[index] = sign | (word[0]! - 0x3f000000);
    } else {
      to[index] = sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
    }
  }
}

/** The platform's Float16Array constructor, where it has one (Node 24 and later). */
function float16Array():
  | (new (
      buffer: ArrayBufferLike,
      byteOffset: number,
      length: number,
    ) => Float16Numbers)
  | undefined {
  return Reflect.get(globalThis, "Float16Array");
}

/** What a `Float16Array` offers here: numbers by index over shared bytes. */
export interface Float16Numbers extends ArrayLike<number>, Iterable<number> {
  [index: number]: number;
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
  readonly byteLength: number;
}

/**
 * The elements of a dense float16 tensor as a `Float16Array` on the same bytes. Throws TENSOR_DTYPE for another dtype or
 * on a platform without Float16Array (`cast(x, "float32")` works on each), TENSOR_SHAPE for a strided view.
 */
export function float16View(tensor: { readonly dtype: string; readonly data: unknown }): Float16Numbers {
  if (tensor.dtype !== "float16") {
    throw new TenonError("TENSOR_DTYPE", { given: tensor.dtype, expected: "float16" });
  }
  const make = float16Array();
  if (make === undefined) {
    throw new TenonError("TENSOR_DTYPE", {
      problem: "this platform has no Float16Array",
      do: 'read the bit patterns (data), or cast(x, "float32"), or use Node 24',
    });
  }
  const bits = tensor.data as Uint16Array;
  return new make(bits.buffer, bits.byteOffset, bits.length);
}
