/**
 * SIMD kernels for float32 blocks. A block is copied into a small WebAssembly memory, computed there and copied out; a
 * process without WebAssembly SIMD runs the plain loops, as do short blocks.
 */
import {
  type Code,
  f32x4,
  f64x2,
  hasSimd,
  i32,
  i32x4,
  type Kernel,
  type KernelFunction,
  kernel,
  type Local,
  lane,
  load,
  loadKernels,
  loopWhile,
  makeMemory,
  op,
  type Statement,
  shuffle,
  store,
} from "../../simd/index.js";

/** Most elements in one block for a kernel: three of them fit the second-level cache beside their sources. */
export const KERNEL_BLOCK = 4096;
/** Below it the copies cost more than the kernel saves. */
const LEAST = 128;
const BYTES = KERNEL_BLOCK * 4;

type Name = "add" | "sub" | "mul" | "div" | "exp" | "expSum" | "scale" | "sum" | "max" | "min";

/** Places of the operands and the result in the memory, at different places within a page of the cache. */
const [A, B, O] = [0, BYTES + 1088, 2 * BYTES + 2176];

function advance(local: Local<"i32">, bytes: number): Statement {
  return local.set(op("i32.add", local.get, i32(bytes)));
}

function elementwise(name: "add" | "sub" | "mul" | "div"): KernelFunction {
  return kernel(name, { bytes: "i32" }, (f, { bytes }) => {
    const at = f.local("i32");
    const part = (offset: number): Statement =>
      store(
        at.get,
        op(`f32x4.${name}`, load("f32x4", at.get, A + offset), load("f32x4", at.get, B + offset)),
        O + offset,
      );
    const turn = [part(0), part(16), advance(at, 32)];
    return { statements: [loopWhile(op("i32.lt_u", at.get, bytes.get), ...turn)] };
  });
}

/**
 * exp of four singles, at most 1.1 units in the last place from the exact value: x = n ln 2 + r, a polynomial of degree 7
 * in r, and two factors that make 2ⁿ, so that denormal results are rounded once.
 */
function expOf(
  x: Code<"f32x4">,
  { r, n, half }: { r: Local<"f32x4">; n: Local<"f32x4">; half: Local<"i32x4"> },
): { steps: Statement[]; value: Code<"f32x4"> } {
  const times = (a: Code<"f32x4">, b: Code<"f32x4">): Code<"f32x4"> => op("f32x4.mul", a, b);
  let sum: Code<"f32x4"> = f32x4(1 / 5040);
  for (const factorial of [720, 120, 24, 6, 2])
    sum = op("f32x4.add", times(sum, r.get), f32x4(1 / factorial));
  const mantissa = op("f32x4.add", op("f32x4.add", times(sum, times(r.get, r.get)), r.get), f32x4(1));
  const whole = op("i32x4.trunc_sat_f32x4_s", n.get);
  const power = (exponent: Code<"i32x4">): Code<"f32x4"> =>
    op("f32x4.reinterpret_i32x4", op("i32x4.shl", op("i32x4.add", exponent, i32x4(127)), i32(23)));
  return {
    steps: [
      r.set(op("f32x4.pmin", op("f32x4.pmax", x, f32x4(-104)), f32x4(89))),
      n.set(op("f32x4.nearest", times(r.get, f32x4(Math.LOG2E)))),
      // ln 2 in two parts: the first has few bits, so that its product with n is exact.
      r.set(op("f32x4.sub", r.get, times(n.get, f32x4(0.693359375)))),
      r.set(op("f32x4.sub", r.get, times(n.get, f32x4(Math.LN2 - 0.693359375)))),
      half.set(op("i32x4.shr_s", whole, i32(1))),
    ],
    value: times(times(mantissa, power(half.get)), power(op("i32x4.sub", whole, half.get))),
  };
}

const EXP = kernel("exp", { bytes: "i32" }, (f, { bytes }) => {
  const at = f.local("i32");
  const locals = { r: f.local("f32x4"), n: f.local("f32x4"), half: f.local("i32x4") };
  const { steps, value } = expOf(load("f32x4", at.get, A), locals);
  const turn = [...steps, store(at.get, value, O), advance(at, 16)];
  return { statements: [loopWhile(op("i32.lt_u", at.get, bytes.get), ...turn)] };
});

function total(low: Local<"f64x2">, high: Local<"f64x2">): Code<"f64"> {
  const pair = (x: Local<"f64x2">): Code<"f64"> => op("f64.add", lane(x.get, 0), lane(x.get, 1));
  return op("f64.add", pair(low), pair(high));
}

/** Adds four singles to two pairs of doubles. */
function addDoubles(x: Local<"f32x4">, low: Local<"f64x2">, high: Local<"f64x2">): Statement[] {
  const upper = shuffle(x.get, x.get, [2, 3, 2, 3]);
  return [
    low.set(op("f64x2.add", low.get, op("f64x2.promote_low_f32x4", x.get))),
    high.set(op("f64x2.add", high.get, op("f64x2.promote_low_f32x4", upper))),
  ];
}

/** o = exp(a − shift); returns the sum of the results in double precision. */
const EXP_SUM = kernel("expSum", { bytes: "i32", shift: "f32" }, (f, { bytes, shift }) => {
  const at = f.local("i32");
  const [x, low, high, less] = [f.local("f32x4"), f.local("f64x2"), f.local("f64x2"), f.local("f32x4")];
  const locals = { r: f.local("f32x4"), n: f.local("f32x4"), half: f.local("i32x4") };
  const { steps, value } = expOf(op("f32x4.sub", load("f32x4", at.get, A), less.get), locals);
  const turn = [
    ...steps,
    x.set(value),
    store(at.get, x.get, O),
    ...addDoubles(x, low, high),
    advance(at, 16),
  ];
  return {
    statements: [
      less.set(op("f32x4.splat", shift.get)),
      loopWhile(op("i32.lt_u", at.get, bytes.get), ...turn),
    ],
    result: total(low, high),
  };
});

/** o = o × factor. */
const SCALE = kernel("scale", { bytes: "i32", factor: "f32" }, (f, { bytes, factor }) => {
  const [at, four] = [f.local("i32"), f.local("f32x4")];
  const turn = [store(at.get, op("f32x4.mul", load("f32x4", at.get, O), four.get), O), advance(at, 16)];
  return {
    statements: [
      four.set(op("f32x4.splat", factor.get)),
      loopWhile(op("i32.lt_u", at.get, bytes.get), ...turn),
    ],
  };
});

/** Σ a in double precision: eight running sums, element i goes into sum i mod 8. */
const SUM = kernel("sum", { bytes: "i32" }, (f, { bytes }) => {
  const at = f.local("i32");
  const [x, y] = [f.local("f32x4"), f.local("f32x4")];
  const sums = [f.local("f64x2"), f.local("f64x2"), f.local("f64x2"), f.local("f64x2")] as const;
  const turn = [
    x.set(load("f32x4", at.get, A)),
    y.set(load("f32x4", at.get, A + 16)),
    ...addDoubles(x, sums[0], sums[1]),
    ...addDoubles(y, sums[2], sums[3]),
    advance(at, 32),
  ];
  return {
    statements: [
      ...sums.map((sum) => sum.set(f64x2(0))),
      loopWhile(op("i32.lt_u", at.get, bytes.get), ...turn),
    ],
    result: op("f64.add", total(sums[0], sums[1]), total(sums[2], sums[3])),
  };
});

/** NaN where there is one, and +0 above −0, as Math.max and Math.min. */
function extreme(name: "max" | "min"): KernelFunction {
  return kernel(name, { bytes: "i32" }, (f, { bytes }) => {
    const at = f.local("i32");
    const best = [f.local("f32x4"), f.local("f32x4")] as const;
    const of = (a: Code<"f32x4">, b: Code<"f32x4">): Code<"f32x4"> => op(`f32x4.${name}`, a, b);
    const turn = [
      ...best.map((one, i) => one.set(of(one.get, load("f32x4", at.get, A + i * 16)))),
      advance(at, 32),
    ];
    const all = best[0];
    return {
      statements: [
        ...best.map((one) => one.set(load("f32x4", i32(0), A))),
        loopWhile(op("i32.lt_u", at.get, bytes.get), ...turn),
        all.set(of(best[0].get, best[1].get)),
        all.set(of(all.get, shuffle(all.get, all.get, [2, 3, 2, 3]))),
        all.set(of(all.get, shuffle(all.get, all.get, [1, 1, 1, 1]))),
      ],
      result: lane(all.get, 0),
    };
  });
}

interface Loaded {
  readonly run: Readonly<Record<Name, Kernel>>;
  readonly a: Float32Array;
  readonly b: Float32Array;
  readonly o: Float32Array;
}

let loaded: Loaded | undefined;

/** The kernels for a block of n elements; undefined where the plain loop is to run. */
function kernelsFor(n: number): Loaded | undefined {
  if (n < LEAST || n > KERNEL_BLOCK || !hasSimd()) return undefined;
  if (loaded !== undefined) return loaded;
  const memory = makeMemory(O + BYTES);
  const functions = [
    ...(["add", "sub", "mul", "div"] as const).map(elementwise),
    ...[EXP, EXP_SUM, SCALE, SUM, extreme("max"), extreme("min")],
  ];
  const view = (at: number): Float32Array => new Float32Array(memory.buffer, at, KERNEL_BLOCK);
  loaded = { run: loadKernels(functions, memory), a: view(A), b: view(B), o: view(O) };
  return loaded;
}

/** Bytes of n elements, up to a multiple of 32: kernels do eight elements a turn. */
const padded = (n: number): number => ((n + 7) & ~7) * 4;

function take(from: Float32Array, at: number, n: number, to: Float32Array): void {
  to.set(from.subarray(at, at + n));
}

function give(from: Float32Array, n: number, to: Float32Array, at: number): void {
  to.set(n === KERNEL_BLOCK ? from : from.subarray(0, n), at);
}

type BinaryLoop = (
  a: Float32Array,
  i: number,
  b: Float32Array,
  j: number,
  o: Float32Array,
  k: number,
  n: number,
) => void;

/** The loop of an operation: the kernel, or `plain`, whose results are the same bits. */
export function binaryLoop(name: "add" | "sub" | "mul" | "div", plain: BinaryLoop): BinaryLoop {
  return (a, i, b, j, o, k, n) => {
    const kernels = kernelsFor(n);
    if (kernels === undefined) return plain(a, i, b, j, o, k, n);
    take(a, i, n, kernels.a);
    take(b, j, n, kernels.b);
    kernels.run[name](padded(n));
    give(kernels.o, n, o, k);
  };
}

/** o[k, k + n) = exp(a[i, i + n)); false where the plain loop is to run. */
export function expBlock(a: Float32Array, i: number, o: Float32Array, k: number, n: number): boolean {
  const kernels = kernelsFor(n);
  if (kernels === undefined) return false;
  take(a, i, n, kernels.a);
  kernels.run.exp(padded(n));
  give(kernels.o, n, o, k);
  return true;
}

/** Softmax of one row; false where the plain loop is to run. */
export function softmaxRow(a: Float32Array, i: number, o: Float32Array, k: number, n: number): boolean {
  const kernels = kernelsFor(n);
  if (kernels === undefined) return false;
  take(a, i, n, kernels.a);
  const bytes = padded(n);
  kernels.a.fill(Number.NEGATIVE_INFINITY, n, bytes / 4);
  const top = kernels.run.max(bytes);
  const sum = kernels.run.expSum(bytes, top);
  kernels.run.scale(bytes, 1 / sum);
  give(kernels.o, n, o, k);
  return true;
}

/** Sum, largest or smallest of x[at, at + n); undefined where the plain loop is to run. */
export function reduceBlock(
  name: "sum" | "max" | "min",
  x: Float32Array,
  at: number,
  n: number,
): number | undefined {
  const kernels = kernelsFor(n);
  if (kernels === undefined) return undefined;
  take(x, at, n, kernels.a);
  const bytes = padded(n);
  if (bytes > n * 4) kernels.a.fill(name === "sum" ? 0 : x[at]!, n, bytes / 4);
  return kernels.run[name](bytes);
}
