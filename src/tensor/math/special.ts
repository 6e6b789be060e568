/** Functions that Math lacks or that float32 allows to be faster: exp, sigmoid and tanh of float32 blocks, erf. */

const STEPS = 256;
const PER_STEP = STEPS / Math.LN2;
const STEP = Math.LN2 / STEPS;
/** 2^(i/256). */
const FRACTIONS = Float64Array.from({ length: STEPS }, (_, i) => 2 ** (i / STEPS));
const POWERS_BELOW = 256;
/** 2^(i - 256): every exponent that the arguments below can need; as many as a mask keeps any index within. */
const POWERS = Float64Array.from({ length: 2 * POWERS_BELOW }, (_, i) => 2 ** (i - POWERS_BELOW));
/** Adding and subtracting it rounds a double to an integer. */
const ROUNDER = 1.5 * 2 ** 52;
/** Below it exp is less than half of the least float32. */
const LEAST = -104;
/** Above it exp, and its reciprocal, are out of float32's range. */
const MOST = 110;

/** exp in double precision to 1e-9 relative, for arguments from LEAST to MOST; some other number outside. */
function shortExp(x: number): number {
  const steps = x * PER_STEP + ROUNDER - ROUNDER;
  const rest = x - steps * STEP;
  const whole = steps | 0;
  const power = POWERS[((whole >> 8) + POWERS_BELOW) & (2 * POWERS_BELOW - 1)]!;
  return (1 + rest * (1 + rest * 0.5)) * FRACTIONS[whole & (STEPS - 1)]! * power;
}

/** exp of one number, as exact as a float32 result needs. */
export function exp32(x: number): number {
  if (x > LEAST && x < MOST) return shortExp(x);
  if (x >= MOST) return Number.POSITIVE_INFINITY;
  return x <= LEAST ? 0 : x;
}

function isOutside(x: number): boolean {
  return !(x > LEAST && x < MOST);
}

/**
 * o[k, k + n) = exp(a[i, i + n) - shift); returns the sum of the results. Four at a time, without a branch for each
 * result; a four with an argument out of range is done with care.
 */
export function expShifted(
  a: Float32Array,
  i: number,
  shift: number,
  o: Float32Array,
  k: number,
  n: number,
): number {
  let total = 0;
  const end = k + n;
  for (const fours = k + (n & ~3); k < fours; k += 4, i += 4) {
    const x0 = a[i]! - shift;
    const x1 = a[i + 1]! - shift;
    const x2 = a[i + 2]! - shift;
    const x3 = a[i + 3]! - shift;
    let y0 = shortExp(x0);
    let y1 = shortExp(x1);
    let y2 = shortExp(x2);
    let y3 = shortExp(x3);
    if (isOutside(x0) || isOutside(x1) || isOutside(x2) || isOutside(x3)) {
      y0 = exp32(x0);
      y1 = exp32(x1);
      y2 = exp32(x2);
      y3 = exp32(x3);
    }
    o[k] = y0;
    o[k + 1] = y1;
    o[k + 2] = y2;
    o[k + 3] = y3;
    total += y0 + y1 + (y2 + y3);
  }
  for (; k < end; k++, i++) total += o[k] = exp32(a[i]! - shift);
  return total;
}

/** 1 / (1 + exp(-x)) of one number, as exact as a float32 result needs. */
export function sigmoid32(x: number): number {
  return 1 / (1 + exp32(-x));
}

/** tanh of one number, as exact as a float32 result needs. */
export function tanh32(x: number): number {
  if (x < 1e-2 && x > -1e-2) return x - (x * x * x) / 3 + (2 * x * x * x * x * x) / 15;
  return 1 - 2 / (exp32(2 * x) + 1);
}

/** Sigmoid in double precision, without overflow on either side. */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

function polynomial(x: number, coefficients: readonly number[]): number {
  let sum = 0;
  for (let i = coefficients.length - 1; i >= 0; i--) sum = sum * x + coefficients[i]!;
  return sum;
}

// Coefficients of FreeBSD's s_erf.c (Sun Microsystems, 1993), error below 1 ulp.
// biome-ignore format: tables are read by columns
const SMALL = {
  p: [0.12837916709551256, -0.3250421072470015, -0.02848174957559851, -0.005770270296489442, -0.000023763016656650163],
  q: [1, 0.39791722395915535, 0.0650222499887673, 0.005081306281875766, 0.00013249473800432164, -0.000003960228278775368],
};
// biome-ignore format: tables are read by columns
const NEAR_ONE = {
  p: [-0.0023621185607526594, 0.41485611868374833, -0.3722078760357013, 0.31834661990116175, -0.11089469428239668, 0.035478304325618236, -0.002166375594868791],
  q: [1, 0.10642088040084423, 0.540397917702171, 0.07182865441419627, 0.12617121980876164, 0.01363708391202905, 0.011984499846799107],
};
// biome-ignore format: tables are read by columns
const MIDDLE = {
  p: [-0.009864944034847148, -0.6938585727071818, -10.558626225323291, -62.375332450326006, -162.39666946257347, -184.60509290671104, -81.2874355063066, -9.814329344169145],
  q: [1, 19.651271667439257, 137.65775414351904, 434.56587747522923, 645.3872717332679, 429.00814002756783, 108.63500554177944, 6.570249770319282, -0.0604244152148581],
};
// biome-ignore format: tables are read by columns
const FAR = {
  p: [-0.0098649429247001, -0.799283237680523, -17.757954917754752, -160.63638485582192, -637.5664433683896, -1025.0951316110772, -483.5191916086514],
  q: [1, 30.33806074348246, 325.7925129965739, 1536.729586084437, 3199.8582195085955, 2553.0504064331644, 474.52854120695537, -22.44095244658582],
};

/** The error function. */
export function erf(x: number): number {
  const magnitude = Math.abs(x);
  if (Number.isNaN(x)) return x;
  if (magnitude < 0.84375) {
    const square = x * x;
    return x + x * (polynomial(square, SMALL.p) / polynomial(square, SMALL.q));
  }
  const sign = x < 0 ? -1 : 1;
  if (magnitude < 1.25) {
    const s = magnitude - 1;
    return sign * (0.8450629115104675 + polynomial(s, NEAR_ONE.p) / polynomial(s, NEAR_ONE.q));
  }
  if (magnitude >= 6) return sign;
  const { p, q } = magnitude < 1 / 0.35 ? MIDDLE : FAR;
  const s = 1 / (magnitude * magnitude);
  const tail = Math.exp(-magnitude * magnitude - 0.5625 + polynomial(s, p) / polynomial(s, q)) / magnitude;
  return sign * (1 - tail);
}

/** The smaller bigint: Math.min takes numbers only. */
export function smaller(a: bigint, b: bigint): bigint {
  if (a < b) return a;
  return b;
}

/** The larger bigint. */
export function larger(a: bigint, b: bigint): bigint {
  if (a > b) return a;
  return b;
}
