/** Elementwise arithmetic and comparison of two operands: one row an operation, one loop a domain. */
import { TenonError } from "../../base/index.js";
import { type DType, dtypeInfo } from "../dtype.js";
import type { Tensor } from "../tensor.js";
import { BLOCK, type Block, type Domain, domainOf, Reader, Writer } from "./blocks.js";
import { binaryLoop, KERNEL_BLOCK } from "./kernels.js";
import { commonShape, type Into, resultTensor, type Scalar, safeToRead, sameDType } from "./operands.js";
import { larger, smaller } from "./special.js";

/** o[k, k + n) = a[i, i + n) op b[j, j + n). */
type Loop<A, O> = (a: A, i: number, b: A, j: number, o: O, k: number, n: number) => void;

interface Row {
  readonly float32: Loop<Float32Array, Float32Array>;
  readonly float64: Loop<Float64Array, Float64Array>;
  /** null: not defined for integers, which are then told to cast. */
  readonly int: Loop<Float64Array, Float64Array> | null;
  readonly big: Loop<Block<"big">, Block<"big">> | null;
}

// The hottest loops do eight elements at a time: what a step costs beside its arithmetic is then paid once for eight.

const addFloat32: Loop<Float32Array, Float32Array> = (a, i, b, j, o, k, n) => {
  const end = k + n;
  for (const eights = k + (n & ~7); k < eights; k += 8, i += 8, j += 8) {
    o[k] = a[i]! + b[j]!;
    o[k + 1] = a[i + 1]! + b[j + 1]!;
    o[k + 2] = a[i + 2]! + b[j + 2]!;
    o[k + 3] = a[i + 3]! + b[j + 3]!;
    o[k + 4] = a[i + 4]! + b[j + 4]!;
    o[k + 5] = a[i + 5]! + b[j + 5]!;
    o[k + 6] = a[i + 6]! + b[j + 6]!;
    o[k + 7] = a[i + 7]! + b[j + 7]!;
  }
  while (k < end) o[k++] = a[i++]! + b[j++]!;
};

const subFloat32: Loop<Float32Array, Float32Array> = (a, i, b, j, o, k, n) => {
  const end = k + n;
  for (const eights = k + (n & ~7); k < eights; k += 8, i += 8, j += 8) {
    o[k] = a[i]! - b[j]!;
    o[k + 1] = a[i + 1]! - b[j + 1]!;
    o[k + 2] = a[i + 2]! - b[j + 2]!;
    o[k + 3] = a[i + 3]! - b[j + 3]!;
    o[k + 4] = a[i + 4]! - b[j + 4]!;
    o[k + 5] = a[i + 5]! - b[j + 5]!;
    o[k + 6] = a[i + 6]! - b[j + 6]!;
    o[k + 7] = a[i + 7]! - b[j + 7]!;
  }
  while (k < end) o[k++] = a[i++]! - b[j++]!;
};

const mulFloat32: Loop<Float32Array, Float32Array> = (a, i, b, j, o, k, n) => {
  const end = k + n;
  for (const eights = k + (n & ~7); k < eights; k += 8, i += 8, j += 8) {
    o[k] = a[i]! * b[j]!;
    o[k + 1] = a[i + 1]! * b[j + 1]!;
    o[k + 2] = a[i + 2]! * b[j + 2]!;
    o[k + 3] = a[i + 3]! * b[j + 3]!;
    o[k + 4] = a[i + 4]! * b[j + 4]!;
    o[k + 5] = a[i + 5]! * b[j + 5]!;
    o[k + 6] = a[i + 6]! * b[j + 6]!;
    o[k + 7] = a[i + 7]! * b[j + 7]!;
  }
  while (k < end) o[k++] = a[i++]! * b[j++]!;
};

const divFloat32: Loop<Float32Array, Float32Array> = (a, i, b, j, o, k, n) => {
  const end = k + n;
  for (const eights = k + (n & ~7); k < eights; k += 8, i += 8, j += 8) {
    o[k] = a[i]! / b[j]!;
    o[k + 1] = a[i + 1]! / b[j + 1]!;
    o[k + 2] = a[i + 2]! / b[j + 2]!;
    o[k + 3] = a[i + 3]! / b[j + 3]!;
    o[k + 4] = a[i + 4]! / b[j + 4]!;
    o[k + 5] = a[i + 5]! / b[j + 5]!;
    o[k + 6] = a[i + 6]! / b[j + 6]!;
    o[k + 7] = a[i + 7]! / b[j + 7]!;
  }
  while (k < end) o[k++] = a[i++]! / b[j++]!;
};

// Each loop is written out, float32 and float64 with one text: see FORMATS in blocks.ts.
// biome-ignore format: a table is read by columns
const ARITHMETIC = {
  add: {
    float32: binaryLoop("add", addFloat32),
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! + b[j++]!; },
    int: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! + b[j++]!; },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! + b[j++]!; },
  },
  sub: {
    float32: binaryLoop("sub", subFloat32),
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! - b[j++]!; },
    int: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! - b[j++]!; },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! - b[j++]!; },
  },
  mul: {
    float32: binaryLoop("mul", mulFloat32),
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! * b[j++]!; },
    int: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.imul(a[i++]!, b[j++]!); },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! * b[j++]!; },
  },
  div: {
    float32: binaryLoop("div", divFloat32),
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! / b[j++]!; },
    int: null,
    big: null,
  },
  mod: {
    float32: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = floorMod(a[i++]!, b[j++]!); },
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = floorMod(a[i++]!, b[j++]!); },
    int: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = intMod(a[i++]!, b[j++]!); },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = bigMod(a[i++]!, b[j++]!); },
  },
  pow: {
    float32: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = power(a[i++]!, b[j++]!); },
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = power(a[i++]!, b[j++]!); },
    int: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = intPower(a[i++]!, b[j++]!); },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = bigPower(a[i++]!, b[j++]!); },
  },
} as const satisfies Record<string, Row>;

// biome-ignore format: a table is read by columns
const EXTREMES = {
  minimum: {
    float32: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.min(a[i++]!, b[j++]!); },
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.min(a[i++]!, b[j++]!); },
    int: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.min(a[i++]!, b[j++]!); },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = smaller(a[i++]!, b[j++]!); },
  },
  maximum: {
    float32: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.max(a[i++]!, b[j++]!); },
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.max(a[i++]!, b[j++]!); },
    int: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Math.max(a[i++]!, b[j++]!); },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = larger(a[i++]!, b[j++]!); },
  },
} as const satisfies Record<string, Row>;

/** Comparisons fill a block of 0 and 1 that is stored as bool. `Number(…)` is compiled without a branch, `? 1 : 0` with one. */
interface CompareRow {
  readonly float32: Loop<Float32Array, Float64Array>;
  readonly float64: Loop<Float64Array, Float64Array>;
  readonly big: Loop<Block<"big">, Float64Array>;
}

// biome-ignore format: a table is read by columns
const COMPARISONS = {
  equal: {
    float32: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! === b[j++]!); },
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! === b[j++]!); },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! === b[j++]!); },
  },
  notEqual: {
    float32: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! !== b[j++]!); },
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! !== b[j++]!); },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! !== b[j++]!); },
  },
  less: {
    float32: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! < b[j++]!); },
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! < b[j++]!); },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! < b[j++]!); },
  },
  lessEqual: {
    float32: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! <= b[j++]!); },
    float64: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! <= b[j++]!); },
    big: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = Number(a[i++]! <= b[j++]!); },
  },
} as const satisfies Record<string, CompareRow>;

// biome-ignore format: a table is read by columns
const LOGIC = {
  logicalAnd: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! & b[j++]!; },
  logicalOr: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! | b[j++]!; },
  logicalXor: (a, i, b, j, o, k, n) => { for (const e = k + n; k < e; ) o[k++] = a[i++]! ^ b[j++]!; },
} as const satisfies Record<string, Loop<Float64Array, Float64Array>>;

/** The remainder with the divisor's sign, as Python's and numpy's. */
function floorMod(a: number, b: number): number {
  const rest = a % b;
  if (rest === 0) return b < 0 ? -0 : 0;
  return rest < 0 !== b < 0 ? rest + b : rest;
}

function intMod(a: number, b: number): number {
  if (b === 0) return 0;
  const rest = a % b;
  return rest !== 0 && rest < 0 !== b < 0 ? rest + b : rest;
}

function bigMod(a: bigint, b: bigint): bigint {
  if (b === 0n) return 0n;
  const rest = a % b;
  return rest !== 0n && rest < 0n !== b < 0n ? rest + b : rest;
}

/** IEEE 754 pow, which for a base of 1 or -1 and an infinite or NaN exponent differs from JavaScript's. */
function power(base: number, exponent: number): number {
  if (base === 1 || (base === -1 && Math.abs(exponent) === Number.POSITIVE_INFINITY)) return 1;
  return base ** exponent;
}

function noNegativePower(exponent: number | bigint): never {
  throw new TenonError("TENSOR_VALUE", {
    problem: "integers have no negative powers",
    given: `exponent ${exponent}`,
    do: 'cast to a float dtype first, for example cast(x, "float64")',
  });
}

/** Modulo 2^32, which every dtype of the int domain truncates further. */
function intPower(base: number, exponent: number): number {
  if (exponent < 0) noNegativePower(exponent);
  let result = 1;
  for (let square = base | 0, rest = exponent; rest > 0; rest = Math.floor(rest / 2)) {
    if (rest % 2 === 1) result = Math.imul(result, square);
    square = Math.imul(square, square);
  }
  return result;
}

/** Modulo 2^64. */
function bigPower(base: bigint, exponent: bigint): bigint {
  if (exponent < 0n) noNegativePower(exponent);
  let result = 1n;
  for (let square = base, rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = BigInt.asUintN(64, result * square);
    square = BigInt.asUintN(64, square * square);
  }
  return result;
}

function run(
  loop: Loop<Block, Block>,
  operands: readonly Tensor[],
  shape: readonly number[],
  out: Tensor,
): void {
  const a = new Reader(safeToRead(operands[0]!, out).broadcastTo(shape), 0);
  const b = new Reader(safeToRead(operands[1]!, out).broadcastTo(shape), 1);
  const o = new Writer(out, 2);
  const most = a.isDirect && b.isDirect && o.isDirect ? KERNEL_BLOCK : BLOCK;
  for (let rest = out.size; rest > 0; rest -= most) {
    const count = Math.min(rest, most);
    a.next(count);
    b.next(count);
    loop(a.array, a.at, b.array, b.at, o.array, o.at, count);
    o.flush(count);
  }
}

/** The loop of a row for a dtype; throws TENSOR_DTYPE where there is none. */
function loopFor(op: string, row: { readonly [D in Domain]: unknown }, dtype: DType): Loop<Block, Block> {
  const domain = domainOf(dtype);
  const loop = domain === undefined ? null : row[domain];
  if (loop !== null) return loop as Loop<Block, Block>;
  throw new TenonError("TENSOR_DTYPE", {
    problem: `${op} does not take ${dtype}`,
    expected:
      domain === undefined ? "a float dtype of at least 16 bits, or ints of at least 8" : "a float dtype",
    do: 'cast first, for example cast(x, "float32")',
  });
}

function noBool(op: string, dtype: DType): void {
  if (dtypeInfo(dtype).kind !== "bool") return;
  throw new TenonError("TENSOR_DTYPE", {
    problem: `${op} does not take bool`,
    do: 'cast first, for example cast(x, "int32"), or use logicalAnd, logicalOr, logicalXor',
  });
}

type Operand<D extends DType> = Tensor<D> | Scalar;

/** Two operands of one dtype (or one and a number) to a result of that dtype, with numpy's broadcasting. */
export type BinaryFunction = <D extends DType>(
  a: Operand<D>,
  b: Operand<NoInfer<D>>,
  options?: Into<NoInfer<D>>,
) => Tensor<D>;

/** Two operands of one dtype (or one and a number) to bool, with numpy's broadcasting. */
export type CompareFunction = <D extends DType>(
  a: Operand<D>,
  b: Operand<NoInfer<D>>,
  options?: Into<"bool">,
) => Tensor<"bool">;

function binary(
  op: keyof typeof ARITHMETIC | keyof typeof EXTREMES,
  row: Row,
  bool: boolean,
): BinaryFunction {
  return <D extends DType>(a: Operand<D>, b: Operand<D>, options: Into<D> = {}) => {
    const operands = sameDType(op, a, b);
    const dtype = operands[0]!.dtype;
    if (!bool) noBool(op, dtype);
    const loop = loopFor(op, row, dtype);
    const shape = commonShape(operands);
    const out = resultTensor(dtype, shape, options.into as Tensor | undefined);
    run(loop, operands, shape, out);
    return out as Tensor<D>;
  };
}

/** `swapped` gives `a > b` as `b < a`. */
function compare(op: string, row: CompareRow, swapped: boolean): CompareFunction {
  const loops = { ...row, int: row.float64 };
  return (a, b, options = {}) => {
    const given = sameDType(op, a, b);
    const operands = swapped ? given.reverse() : given;
    const shape = commonShape(operands);
    const { dtype } = operands[0]!;
    if (dtype === "string") return compareStrings(op, operands, shape, options.into);
    const loop = loopFor(op, loops, dtype);
    const out = resultTensor("bool", shape, options.into);
    run(loop, operands, shape, out);
    return out;
  };
}

function compareStrings(
  op: string,
  operands: readonly Tensor[],
  shape: readonly number[],
  into: Tensor<"bool"> | undefined,
): Tensor<"bool"> {
  if (op !== "equal" && op !== "notEqual") {
    throw new TenonError("TENSOR_DTYPE", {
      problem: `${op} does not take strings`,
      expected: "equal or notEqual",
    });
  }
  const wanted = op === "equal";
  const [a, b] = operands.map((operand) =>
    ([operand.broadcastTo(shape).toArray()] as unknown[]).flat(shape.length + 1),
  ) as [unknown[], unknown[]];
  const out = resultTensor("bool", shape, into);
  const bits = new Writer<"int">(out, 2);
  for (let done = 0; done < out.size; done += BLOCK) {
    const count = Math.min(BLOCK, out.size - done);
    for (let i = 0; i < count; i++)
      bits.array[bits.at + i] = (a[done + i] === b[done + i]) === wanted ? 1 : 0;
    bits.flush(count);
  }
  return out;
}

function logic(
  op: keyof typeof LOGIC,
): (a: Tensor<"bool"> | boolean, b: Tensor<"bool"> | boolean, options?: Into<"bool">) => Tensor<"bool"> {
  return (a, b, options = {}) => {
    const operands = sameDType(op, a, b);
    if (operands[0]!.dtype !== "bool") {
      throw new TenonError("TENSOR_DTYPE", {
        problem: `${op} takes bool`,
        given: operands[0]!.dtype,
        do: "compare first, for example notEqual(x, 0)",
      });
    }
    const shape = commonShape(operands);
    const out = resultTensor("bool", shape, options.into);
    run(LOGIC[op] as Loop<never, never> as Loop<Block, Block>, operands, shape, out);
    return out;
  };
}

/** a + b. Integers wrap, as in numpy. */
export const add = binary("add", ARITHMETIC.add, false);
/** a - b. Integers wrap, as in numpy. */
export const sub = binary("sub", ARITHMETIC.sub, false);
/** a × b. Integers wrap, as in numpy. */
export const mul = binary("mul", ARITHMETIC.mul, false);
/** a / b of floats, with IEEE infinities and NaN. Integers throw TENSOR_DTYPE: cast them to say which division is meant. */
export const div = binary("div", ARITHMETIC.div, false);
/** The remainder with the sign of b, as numpy's `mod`; of integers by 0 it is 0. */
export const mod = binary("mod", ARITHMETIC.mod, false);
/** a to the power of b. Integers wrap; a negative integer exponent throws TENSOR_VALUE. */
export const pow = binary("pow", ARITHMETIC.pow, false);
/** The smaller of each pair; NaN when either is NaN. */
export const minimum = binary("minimum", EXTREMES.minimum, true);
/** The larger of each pair; NaN when either is NaN. */
export const maximum = binary("maximum", EXTREMES.maximum, true);
/** a = b, also of strings. NaN equals nothing. */
export const equal = compare("equal", COMPARISONS.equal, false);
/** a ≠ b, also of strings. */
export const notEqual = compare("notEqual", COMPARISONS.notEqual, false);
/** a < b. */
export const less = compare("less", COMPARISONS.less, false);
/** a ≤ b. */
export const lessEqual = compare("lessEqual", COMPARISONS.lessEqual, false);
/** a > b. */
export const greater = compare("greater", COMPARISONS.less, true);
/** a ≥ b. */
export const greaterEqual = compare("greaterEqual", COMPARISONS.lessEqual, true);
/** a and b, of bool tensors. */
export const logicalAnd = logic("logicalAnd");
/** a or b, of bool tensors. */
export const logicalOr = logic("logicalOr");
/** Either a or b, of bool tensors. */
export const logicalXor = logic("logicalXor");
