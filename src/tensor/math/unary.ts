/** Elementwise functions of one operand: one row a function, one loop a domain. */
import { TenonError } from "../../base/index.js";
import { type DType, dtypeInfo } from "../dtype.js";
import { roundHalfEven } from "../minifloat.js";
import type { Tensor } from "../tensor.js";
import { maximum, minimum } from "./binary.js";
import { BLOCK, type Block, domainOf, Reader, Writer } from "./blocks.js";
import { expBlock, KERNEL_BLOCK } from "./kernels.js";
import { type Into, resultTensor, type Scalar, safeToRead } from "./operands.js";
import { erf as erfOf, expShifted, sigmoid32, sigmoid as sigmoidOf, tanh32 } from "./special.js";

/** o[k, k + n) = f(a[i, i + n)). */
type Loop<A, O = A> = (a: A, i: number, o: O, k: number, n: number) => void;
type Floats = Float32Array | Float64Array;

interface Row {
  readonly float32: Loop<Float32Array>;
  readonly float64: Loop<Float64Array>;
  /** null: not defined for integers. */
  readonly int: Loop<Float64Array> | null;
  readonly big: Loop<Block<"big">> | null;
}

const copy: Loop<Float64Array> = (a, i, o, k, n) => {
  for (const e = k + n; k < e; ) o[k++] = a[i++]!;
};

const copyBig: Loop<Block<"big">> = (a, i, o, k, n) => {
  for (const e = k + n; k < e; ) o[k++] = a[i++]!;
};

/** A row for floats only, whose function costs so much that one loop serves both float types. */
function floats(loop: Loop<Floats>): Row {
  return { float32: loop, float64: loop, int: null, big: null };
}

/** A row of a rounding function, which leaves integers as they are. */
function rounding(loop: Loop<Floats>): Row {
  return { float32: loop, float64: loop, int: copy, big: copyBig };
}

// biome-ignore format: a table is read by columns
const ROWS = {
  neg: {
    float32: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = -a[i++]!; },
    float64: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = -a[i++]!; },
    int: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = -a[i++]!; },
    big: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = -a[i++]!; },
  },
  abs: {
    float32: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.abs(a[i++]!); },
    float64: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.abs(a[i++]!); },
    int: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.abs(a[i++]!); },
    big: (a, i, o, k, n) => { for (const e = k + n; k < e; ) { const x = a[i++]!; o[k++] = x < 0n ? -x : x; } },
  },
  sign: {
    float32: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.sign(a[i++]!); },
    float64: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.sign(a[i++]!); },
    int: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.sign(a[i++]!); },
    big: (a, i, o, k, n) => { for (const e = k + n; k < e; ) { const x = a[i++]!; o[k++] = x < 0n ? -1n : x > 0n ? 1n : 0n; } },
  },
  square: {
    float32: (a, i, o, k, n) => { for (const e = k + n; k < e; ) { const x = a[i++]!; o[k++] = x * x; } },
    float64: (a, i, o, k, n) => { for (const e = k + n; k < e; ) { const x = a[i++]!; o[k++] = x * x; } },
    int: (a, i, o, k, n) => { for (const e = k + n; k < e; ) { const x = a[i++]!; o[k++] = Math.imul(x, x); } },
    big: (a, i, o, k, n) => { for (const e = k + n; k < e; ) { const x = a[i++]!; o[k++] = x * x; } },
  },
  relu: {
    float32: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.max(a[i++]!, 0); },
    float64: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.max(a[i++]!, 0); },
    int: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.max(a[i++]!, 0); },
    big: (a, i, o, k, n) => { for (const e = k + n; k < e; ) { const x = a[i++]!; o[k++] = x > 0n ? x : 0n; } },
  },
  sqrt: {
    float32: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.sqrt(a[i++]!); },
    float64: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.sqrt(a[i++]!); },
    int: null, big: null,
  },
  reciprocal: {
    float32: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = 1 / a[i++]!; },
    float64: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = 1 / a[i++]!; },
    int: null, big: null,
  },
  exp: {
    float32: (a, i, o, k, n) => { if (!expBlock(a, i, o, k, n)) expShifted(a, i, 0, o, k, n); },
    float64: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.exp(a[i++]!); },
    int: null, big: null,
  },
  sigmoid: {
    float32: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = sigmoid32(a[i++]!); },
    float64: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = sigmoidOf(a[i++]!); },
    int: null, big: null,
  },
  tanh: {
    float32: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = tanh32(a[i++]!); },
    float64: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.tanh(a[i++]!); },
    int: null, big: null,
  },
  expm1: floats((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.expm1(a[i++]!); }),
  log:   floats((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.log(a[i++]!); }),
  log1p: floats((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.log1p(a[i++]!); }),
  log2:  floats((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.log2(a[i++]!); }),
  sin:   floats((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.sin(a[i++]!); }),
  cos:   floats((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.cos(a[i++]!); }),
  erf:   floats((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = erfOf(a[i++]!); }),
  floor: rounding((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.floor(a[i++]!); }),
  ceil:  rounding((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.ceil(a[i++]!); }),
  trunc: rounding((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.trunc(a[i++]!); }),
  round: rounding((a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = roundHalfEven(a[i++]!); }),
} as const satisfies Record<string, Row>;

// biome-ignore format: a table is read by columns
const TESTS = {
  isNan: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(Number.isNaN(a[i++]!)); },
  isInfinite: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(Math.abs(a[i++]!) === Number.POSITIVE_INFINITY); },
  logicalNot: (a, i, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++] === 0); },
} as const satisfies Record<string, Loop<Floats, Float64Array>>;

function run(loop: Loop<Block, Block>, x: Tensor, out: Tensor): void {
  const a = new Reader(safeToRead(x, out), 0);
  const o = new Writer(out, 2);
  const most = a.isDirect && o.isDirect ? KERNEL_BLOCK : BLOCK;
  for (let rest = out.size; rest > 0; rest -= most) {
    const count = Math.min(rest, most);
    a.next(count);
    loop(a.array, a.at, o.array, o.at, count);
    o.flush(count);
  }
}

function refuse(op: string, dtype: DType, expected: string, action: string): never {
  throw new TenonError("TENSOR_DTYPE", { problem: `${op} does not take ${dtype}`, expected, do: action });
}

/** Of every element; the result has the operand's dtype. */
export type UnaryFunction = <D extends DType>(x: Tensor<D>, options?: Into<NoInfer<D>>) => Tensor<D>;

/** Of every element, to bool. */
export type TestFunction = (x: Tensor, options?: Into<"bool">) => Tensor<"bool">;

function unary(op: keyof typeof ROWS): UnaryFunction {
  const row: Row = ROWS[op];
  return <D extends DType>(x: Tensor<D>, options: Into<D> = {}) => {
    const domain = domainOf(x.dtype);
    const loop = domain === undefined || dtypeInfo(x.dtype).kind === "bool" ? null : row[domain];
    if (loop === null) {
      const expected = `float64, float32, float16 or bfloat16${row.int === null ? "" : ", or ints of 8 to 64 bits"}`;
      refuse(op, x.dtype, expected, 'cast first, for example cast(x, "float32")');
    }
    const out = resultTensor(x.dtype, x.shape, options.into);
    // The row's column and the readers are chosen by the same domain.
    run(loop as Loop<never, never> as Loop<Block, Block>, x as Tensor, out as Tensor);
    return out;
  };
}

function floatTest(op: "isNan" | "isInfinite"): TestFunction {
  return (x, options = {}) => {
    if (dtypeInfo(x.dtype).kind !== "float" || domainOf(x.dtype) === undefined) {
      refuse(
        op,
        x.dtype,
        "float64, float32, float16 or bfloat16",
        "leave the test out: other dtypes hold finite numbers only",
      );
    }
    const out = resultTensor("bool", x.shape, options.into);
    run(TESTS[op] as Loop<never, never> as Loop<Block, Block>, x, out);
    return out;
  };
}

/** −x. Integers wrap, unsigned ones too. */
export const neg = unary("neg");
/** |x|. The least integer stays negative, as in numpy. */
export const abs = unary("abs");
/** −1, 0 or 1; NaN of NaN. */
export const sign = unary("sign");
/** x². Integers wrap. */
export const square = unary("square");
/** x where it is positive, else 0; NaN stays. */
export const relu = unary("relu");
/** √x; NaN of negative numbers. */
export const sqrt = unary("sqrt");
/** 1 / x. */
export const reciprocal = unary("reciprocal");
/** eˣ. Of float32 at most 1.1 units in the last place from the exact value, denormal results included. */
export const exp = unary("exp");
/** eˣ − 1, exact near 0. */
export const expm1 = unary("expm1");
/** Natural logarithm. */
export const log = unary("log");
/** log(1 + x), exact near 0. */
export const log1p = unary("log1p");
/** Logarithm to base 2. */
export const log2 = unary("log2");
/** Sine of radians. */
export const sin = unary("sin");
/** Cosine of radians. */
export const cos = unary("cos");
/** Hyperbolic tangent. */
export const tanh = unary("tanh");
/** 1 / (1 + e⁻ˣ). */
export const sigmoid = unary("sigmoid");
/** The error function. */
export const erf = unary("erf");
/** Largest integer that is not larger; integers stay. */
export const floor = unary("floor");
/** Least integer that is not less; integers stay. */
export const ceil = unary("ceil");
/** Without the fraction; integers stay. */
export const trunc = unary("trunc");
/** Nearest integer, halves to the even one; integers stay. */
export const round = unary("round");
/** Where a float is NaN. */
export const isNan = floatTest("isNan");
/** Where a float is infinite. */
export const isInfinite = floatTest("isInfinite");

/** Not x, of a bool tensor. */
export function logicalNot(x: Tensor<"bool">, options: Into<"bool"> = {}): Tensor<"bool"> {
  if (x.dtype !== "bool") refuse("logicalNot", x.dtype, "bool", "compare first, for example equal(x, 0)");
  const out = resultTensor("bool", x.shape, options.into);
  run(TESTS.logicalNot as Loop<never, never> as Loop<Block, Block>, x, out);
  return out;
}

/** Each element, or the bound it exceeds; bounds broadcast. NaN stays. */
export function clip<D extends DType>(
  x: Tensor<D>,
  low: Tensor<NoInfer<D>> | Scalar,
  high: Tensor<NoInfer<D>> | Scalar,
  options: Into<NoInfer<D>> = {},
): Tensor<D> {
  const raised: Tensor<D> = maximum(x, low);
  return minimum(raised, high, { into: options.into });
}
