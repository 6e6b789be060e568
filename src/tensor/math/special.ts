/** Functions that Math lacks or that float32 allows to be faster: exp, sigmoid and tanh of float32 blocks, erf. */

const STEPS = 32;
const PER_STEP = STEPS / Math.LN2;
const STEP = Math.LN2 / STEPS;
/** 2^(i/32). */
const FRACTIONS = Float64Array.from({ length: STEPS }, (_, i) => 2 ** (i / STEPS));
const LOWEST = -152;
/** 2^e for every exponent that a float32 result can need. */
const POWERS = Float64Array.from({ length: 288 }, (_, i) => 2 ** (i + LOWEST));
/** Adding and subtracting it rounds a double to an integer. */
const ROUNDER = 1.5 * 2 ** 52;

/** exp in double precision to 1e-11 relative, for arguments from -104 to 89: all that float32 results need. */
function shortExp(x: number): number {
  const steps = x * PER_STEP + ROUNDER - ROUNDER;
  const rest = x - steps * STEP;
  const whole = steps | 0;
  const series = 1 + rest * (1 + rest * (0.5 + rest * (1 / 6 + rest * (1 / 24))));
  return series * FRACTIONS[whole & (STEPS - 1)]! * POWERS[(whole >> 5) - LOWEST]!;
}

/** exp of one number, as exact as a float32 result needs. */
export function exp32(x: number): number {
  return x > -104 && x < 89 ? shortExp(x) : Math.exp(x);
}

/** 1 / (1 + exp(-x)) of one number, as exact as a float32 result needs. */
export function sigmoid32(x: number): number {
  return 1 / (1 + exp32(-x));
}

/** tanh of one number, as exact as a float32 result needs. */
export function tanh32(x: number): number {
  if (x < 1e-3 && x > -1e-3) return x - (x * x * x) / 3;
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
