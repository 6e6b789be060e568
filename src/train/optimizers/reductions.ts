/** Kernels over flat gradients beside the update itself: sums of squares, sums over lanes, moving averages. */
import {
  type Code,
  type FunctionBody,
  i32,
  type KernelFunction,
  kernel,
  lane,
  load,
  loopWhile,
  op,
  type Statement,
  shuffle,
  store,
} from "../../simd/index.js";

interface SquareSums {
  /** Adds the squares of one of the four vectors of a turn; they come in order. */
  add(turn: number, value: Code<"f32x4">): readonly Statement[];
  readonly total: Code<"f64">;
}

/**
 * Four running sums in double precision: the squares of the elements i, i + 4, i + 8 and i + 12 of each sixteen are added
 * in single precision, which halves the work, and go into sum i.
 */
export function squareSums(f: FunctionBody): SquareSums {
  const [low, high] = [f.local("f64x2"), f.local("f64x2")];
  const [x, four] = [f.local("f32x4"), f.local("f32x4")];
  const square = op("f32x4.mul", x.get, x.get);
  const upper = shuffle(four.get, four.get, [2, 3, 2, 3]);
  const sum = (pair: typeof low): Code<"f64"> => op("f64.add", lane(pair.get, 0), lane(pair.get, 1));
  return {
    add: (turn, value) => [
      x.set(value),
      four.set(turn === 0 ? square : op("f32x4.add", four.get, square)),
      ...(turn < 3
        ? []
        : [
            low.set(op("f64x2.add", low.get, op("f64x2.promote_low_f32x4", four.get))),
            high.set(op("f64x2.add", high.get, op("f64x2.promote_low_f32x4", upper))),
          ]),
    ],
    total: op("f64.add", sum(low), sum(high)),
  };
}

/** Parts of a section that are read side by side, so that memory answers for all of them at once. */
export const STREAMS = 4;

/** squares(at, bytes) → Σ x², as `squareSums` adds for each quarter. `bytes`, of one quarter, is a multiple of 64. */
const SQUARES = kernel("squares", { at: "i32", bytes: "i32" }, (f, { at, bytes }) => {
  const end = f.local("i32");
  const streams = Array.from({ length: STREAMS }, (_, i) => ({
    at: i === 0 ? at : f.local("i32"),
    ...squareSums(f),
  }));
  return {
    statements: [
      end.set(op("i32.add", at.get, bytes.get)),
      ...streams.slice(1).map((each, i) => each.at.set(op("i32.add", streams[i]!.at.get, bytes.get))),
      loopWhile(
        op("i32.lt_u", at.get, end.get),
        ...streams.flatMap((each) =>
          [0, 1, 2, 3].flatMap((turn) => each.add(turn, load("f32x4", each.at.get, turn * 16))),
        ),
        ...streams.map((each) => each.at.set(op("i32.add", each.at.get, i32(64)))),
      ),
    ],
    result: streams.map(({ total }) => total).reduce((x, y) => op("f64.add", x, y)),
  };
});

/** blend(into, from, bytes, a, b): into = into × a + from × b, each operation rounded to float32. */
const BLEND = kernel(
  "blend",
  { into: "i32", from: "i32", bytes: "i32", a: "f32", b: "f32" },
  (f, { into, from, bytes, a, b }) => {
    const end = f.local("i32");
    const [keep, share] = [f.local("f32x4"), f.local("f32x4")];
    const kept = op("f32x4.mul", load("f32x4", into.get), keep.get);
    const added = op("f32x4.mul", load("f32x4", from.get), share.get);
    return {
      statements: [
        end.set(op("i32.add", into.get, bytes.get)),
        keep.set(op("f32x4.splat", a.get)),
        share.set(op("f32x4.splat", b.get)),
        loopWhile(
          op("i32.lt_u", into.get, end.get),
          store(into.get, op("f32x4.add", kept, added)),
          into.set(op("i32.add", into.get, i32(16))),
          from.set(op("i32.add", from.get, i32(16))),
        ),
      ],
    };
  },
);

export const FLAT_KERNELS: readonly KernelFunction[] = [SQUARES, BLEND];

/** Adds the squares of `x` to four sums as the kernel does; `x` begins at a multiple of sixteen. */
export function addSquares(sums: Float64Array, x: Float32Array): void {
  const square = (i: number): number => Math.fround(x[i]! * x[i]!);
  for (let i = 0; i < x.length; i += 16) {
    for (let k = i; k < Math.min(i + 4, x.length); k++) {
      let four = square(k);
      for (let next = k + 4; next < Math.min(i + 16, x.length); next += 4)
        four = Math.fround(four + square(next));
      sums[k & 3]! += four;
    }
  }
}

/** The four sums together, in the kernel's order. */
export const totalOf = (sums: Float64Array): number => sums[0]! + sums[1]! + (sums[2]! + sums[3]!);

/** The kernel's sum of squares as a plain loop, in the same order; the length is a multiple of 64. */
export function plainSquares(x: Float32Array): number {
  const quarter = x.length / STREAMS;
  const parts = Array.from({ length: STREAMS }, (_, i) => {
    const sums = new Float64Array(4);
    addSquares(sums, x.subarray(i * quarter, (i + 1) * quarter));
    return totalOf(sums);
  });
  return parts.reduce((a, b) => a + b);
}

/** Sums of squares out of this range hold squares that single precision does not. */
const LEAST_SQUARES = 1e-30;

/** A norm from the sum of squares in single precision, or anew in double precision where those left its range. */
export function normOf(squares: number, x: () => Float32Array): number {
  const isExact = squares >= LEAST_SQUARES && squares < Number.POSITIVE_INFINITY;
  if (isExact || Number.isNaN(squares)) return Math.sqrt(squares);
  return Math.sqrt(x().reduce((sum, value) => sum + value * value, 0));
}

/** Whether no element is a NaN or an infinity. */
export function allFinite(x: Float32Array): boolean {
  let zero = 0;
  for (let i = 0; i < x.length; i++) zero += x[i]! * 0;
  return zero === 0;
}

/** The kernel's blend as a plain loop, with the same rounding. */
export function plainBlend(into: Float32Array, from: Float32Array, a: number, b: number): void {
  const [keep, share] = [Math.fround(a), Math.fround(b)];
  for (let i = 0; i < into.length; i++)
    into[i] = Math.fround(into[i]! * keep) + Math.fround(from[i]! * share);
}
