/** The shortest decimal text of a float32 that reads back as the same float32, digits first. */

const FLOAT = new Float32Array(1);
const BITS = new Uint32Array(FLOAT.buffer);

/** 10^(i - 60) as the nearest doubles, for i from 0 to 120. */
const POW10 = Float64Array.from({ length: 121 }, (_, i) => Number(`1e${i - 60}`));

/** Half the distance between neighbouring float32 values, by their exponent bits. */
const HALF_GAP = Float64Array.from({ length: 256 }, (_, bits) => 2 ** (Math.max(bits, 1) - 151));

/** What the decimal of `shortestFloat32` is: value = digits × 10^exponent. */
export const decimal = { digits: 0, exponent: 0 };

/**
 * Finds the shortest decimal of a positive, finite float32 (given as the double that equals it) and leaves it in
 * `decimal`; `digits` has at most 9 digits and no trailing zero.
 *
 * The value is scaled to nine digits before the point in double arithmetic, whose error (below 1e-6 there) is far
 * below the half gap between neighbouring floats (above 1.4 there). The multiples of 10^j inside the rounding interval are
 * the candidates, for j as large as any is left. A candidate too close to the border to be sure of is tested by
 * rounding it.
 */
export function shortestFloat32(value: number): void {
  FLOAT[0] = value;
  const bits = BITS[0]!;
  const exponentBits = bits >>> 23;
  // Half the gap to the neighbours. Below a power of two the neighbour is half as far.
  const gap = HALF_GAP[exponentBits]!;
  const gapBelow = (bits & 0x7fffff) === 0 && exponentBits > 1 ? gap / 2 : gap;

  // log10(2) × the binary exponent is floor(log10(value)) or one off, which the scaled value shows.
  let power = 8 - Math.floor(exponentBits === 0 ? Math.log10(value) : (exponentBits - 127) * 0.30103);
  let scale = POW10[power + 60]!;
  let scaled = value * scale;
  if (scaled >= 1e9) {
    power--;
    scale = POW10[power + 60]!;
    scaled = value * scale;
  } else if (scaled < 1e8) {
    power++;
    scale = POW10[power + 60]!;
    scaled = value * scale;
  }
  const above = gap * scale;
  const below = gapBelow * scale;

  let digits = Math.round(scaled);
  let unit = 1;
  let zeros = 0;
  let next = 10;
  while (next <= 1e9) {
    const candidate = Math.round(scaled / next) * next;
    const off = candidate - scaled;
    const room = off >= 0 ? above - off : below + off;
    if (room < 1e-5 && (room < -1e-5 || candidate === 0 || !rounds(candidate, power, value))) break;
    digits = candidate;
    unit = next;
    zeros++;
    next *= 10;
  }
  decimal.digits = digits / unit;
  decimal.exponent = zeros - power;
}

function rounds(candidate: number, power: number, value: number): boolean {
  return Math.fround(Number(`${candidate}e${-power}`)) === value;
}
