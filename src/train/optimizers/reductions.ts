/** Kernels over flat gradients beside the update itself: the squared norm, sums over lanes, moving averages. */
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
  /** Adds the squares of one of the four vectors of a turn. */
  add(turn: number, value: Code<"f32x4">): readonly Statement[];
  readonly total: Code<"f64">;
}

/** Sixteen running sums in double precision: the square of element i goes into sum i mod 16. */
export function squareSums(f: FunctionBody): SquareSums {
  const vectors = [0, 1, 2, 3].map(() => {
    const [low, high, x] = [f.local("f64x2"), f.local("f64x2"), f.local("f32x4")];
    const left = f.local("f64x2");
    const right = f.local("f64x2");
    const add = (value: Code<"f32x4">): Statement[] => [
      x.set(value),
      left.set(op("f64x2.promote_low_f32x4", x.get)),
      right.set(op("f64x2.promote_low_f32x4", shuffle(x.get, x.get, [2, 3, 2, 3]))),
      low.set(op("f64x2.add", low.get, op("f64x2.mul", left.get, left.get))),
      high.set(op("f64x2.add", high.get, op("f64x2.mul", right.get, right.get))),
    ];
    const sum = op(
      "f64.add",
      op("f64.add", lane(low.get, 0), lane(low.get, 1)),
      op("f64.add", lane(high.get, 0), lane(high.get, 1)),
    );
    return { add, sum };
  });
  return {
    add: (turn, value) => vectors[turn]!.add(value),
    total: vectors.map(({ sum }) => sum).reduce((a, b) => op("f64.add", a, b)),
  };
}

/** squares(at, bytes) → Σ x² in double precision. `bytes` is a multiple of 64. */
const SQUARES = kernel("squares", { at: "i32", bytes: "i32" }, (f, { at, bytes }) => {
  const end = f.local("i32");
  const sums = squareSums(f);
  return {
    statements: [
      end.set(op("i32.add", at.get, bytes.get)),
      loopWhile(
        op("i32.lt_u", at.get, end.get),
        ...[0, 1, 2, 3].flatMap((turn) => sums.add(turn, load("f32x4", at.get, turn * 16))),
        at.set(op("i32.add", at.get, i32(64))),
      ),
    ],
    result: sums.total,
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

/** Adds the squares of `x` to sixteen sums as the kernel does; `x` begins at a multiple of sixteen. */
export function addSquares(sums: Float64Array, x: Float32Array): void {
  for (let i = 0; i < x.length; i++) sums[i & 15]! += x[i]! * x[i]!;
}

/** The sixteen sums together, in the kernel's order. */
export function totalOf(sums: Float64Array): number {
  const four = [0, 4, 8, 12].map((i) => sums[i]! + sums[i + 1]! + (sums[i + 2]! + sums[i + 3]!));
  return four.reduce((a, b) => a + b);
}

/** The kernel's sum of squares as a plain loop, in the same order. */
export function plainSquares(x: Float32Array): number {
  const sums = new Float64Array(16);
  addSquares(sums, x);
  return totalOf(sums);
}

/** The kernel's blend as a plain loop, with the same rounding. */
export function plainBlend(into: Float32Array, from: Float32Array, a: number, b: number): void {
  const [keep, share] = [Math.fround(a), Math.fround(b)];
  for (let i = 0; i < into.length; i++)
    into[i] = Math.fround(into[i]! * keep) + Math.fround(from[i]! * share);
}
