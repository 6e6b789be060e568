/**
 * Products of float32 matrices: four by eight results in SIMD registers, over blocks that fit the second-level cache.
 * Sums are single precision: terms in order within a block of DEPTH terms, then the blocks in order.
 */
import {
  type Code,
  f32x4,
  hasSimd,
  i32,
  type Kernel,
  kernel,
  type Local,
  load,
  loadKernels,
  loadSplat,
  loopWhile,
  makeMemory,
  op,
  type Statement,
  store,
} from "../../simd/index.js";

/** Terms that are added up before the sum goes to the total. */
export const DEPTH = 256;
const ROWS = 64;
const COLUMNS = 512;
/** What one turn of the inner loop computes: TALL rows of two vectors. */
const TALL = 4;
const WIDE = 8;

/** Places in the memory; rows of A are DEPTH long, rows of B and of the result COLUMNS. */
const A = 0;
const A_ROW = DEPTH * 4;
const B = A + ROWS * A_ROW;
const ROW = COLUMNS * 4;
const PANELS = B + DEPTH * ROW;
const O = PANELS + DEPTH * ROW;
const BYTES = O + ROWS * ROW;

const plus = (local: Local<"i32">, bytes: number): Statement =>
  local.set(op("i32.add", local.get, i32(bytes)));

/** pack(columns, terms): B in panels of eight columns, each term by term. */
const PACK = kernel("pack", { width: "i32", terms: "i32" }, (f, { width, terms }) => {
  const [column, from, to, end] = [f.local("i32"), f.local("i32"), f.local("i32"), f.local("i32")];
  const row = [
    store(to.get, load("f32x4", from.get, B), PANELS),
    store(to.get, load("f32x4", from.get, B + 16), PANELS + 16),
    plus(from, ROW),
    plus(to, WIDE * 4),
  ];
  return {
    statements: [
      loopWhile(
        op("i32.lt_u", column.get, width.get),
        from.set(column.get),
        end.set(op("i32.add", column.get, op("i32.mul", terms.get, i32(ROW)))),
        loopWhile(op("i32.lt_u", from.get, end.get), ...row),
        plus(column, WIDE * 4),
      ),
    ],
  };
});

/** product(width, rows, terms, again): `again` adds to the results that are there. Counts of columns and terms are in bytes. */
const PRODUCT = kernel(
  "product",
  { width: "i32", rows: "i32", terms: "i32", again: "i32" },
  (f, { width, rows, terms, again }) => {
    const local = (): Local<"i32"> => f.local("i32");
    const [column, panel, row, a, b, end, out] = [
      local(),
      local(),
      local(),
      local(),
      local(),
      local(),
      local(),
    ];
    const sums = Array.from({ length: TALL }, () => [f.local("f32x4"), f.local("f32x4")] as const);
    const [left, right, value] = [f.local("f32x4"), f.local("f32x4"), f.local("f32x4")];
    const added = (sum: Local<"f32x4">, other: Code<"f32x4">): Statement =>
      sum.set(op("f32x4.add", sum.get, other));
    const term = [
      left.set(load("f32x4", b.get, PANELS)),
      right.set(load("f32x4", b.get, PANELS + 16)),
      ...sums.flatMap(([low, high], i) => [
        value.set(loadSplat(a.get, A + i * A_ROW)),
        added(low, op("f32x4.mul", value.get, left.get)),
        added(high, op("f32x4.mul", value.get, right.get)),
      ]),
      plus(a, 4),
      plus(b, WIDE * 4),
    ];
    const write = sums.flatMap((pair, i) =>
      pair.map((sum, half) => {
        const at = O + i * ROW + half * 16;
        // A mask of the old results: all ones, or none.
        const old = op("f32x4.and", load("f32x4", out.get, at), op("i32x4.splat", again.get));
        return store(out.get, op("f32x4.add", old, sum.get), at);
      }),
    );
    const tile = [
      ...sums.flat().map((sum) => sum.set(f32x4(0))),
      a.set(op("i32.mul", row.get, i32(A_ROW))),
      end.set(op("i32.add", a.get, terms.get)),
      b.set(panel.get),
      out.set(op("i32.add", column.get, op("i32.mul", row.get, i32(ROW)))),
      loopWhile(op("i32.lt_u", a.get, end.get), ...term),
      ...write,
      plus(row, TALL),
    ];
    return {
      statements: [
        loopWhile(
          op("i32.lt_u", column.get, width.get),
          row.set(i32(0)),
          loopWhile(op("i32.lt_u", row.get, rows.get), ...tile),
          plus(column, WIDE * 4),
          panel.set(op("i32.add", panel.get, op("i32.mul", terms.get, i32(WIDE)))),
        ),
      ],
    };
  },
);

interface Loaded {
  readonly run: Readonly<Record<"pack" | "product", Kernel>>;
  readonly memory: Float32Array;
}

let loaded: Loaded | undefined;

function kernels(): Loaded {
  if (loaded !== undefined) return loaded;
  const memory = makeMemory(BYTES);
  loaded = {
    run: loadKernels([PACK, PRODUCT], memory),
    memory: new Float32Array(memory.buffer, 0, BYTES / 4),
  };
  return loaded;
}

/** Rows of a block into rows of the memory; missing elements up to a multiple of WIDE stay what they were. */
function takeRows(
  memory: Float32Array,
  place: number,
  row: number,
  from: Float32Array,
  at: number,
  step: number,
  rows: number,
  width: number,
): void {
  const [start, gap] = [place / 4, row / 4];
  if (width === step && width === gap) {
    memory.set(from.subarray(at, at + rows * width), start);
    return;
  }
  for (let i = 0; i < rows; i++)
    memory.set(from.subarray(at + i * step, at + i * step + width), start + i * gap);
}

/** o = a · b, dense rows: [m, k] × [k, n], each from its place. */
export type Product<A> = (
  a: A,
  aAt: number,
  b: A,
  bAt: number,
  o: A,
  oAt: number,
  m: number,
  k: number,
  n: number,
) => void;

/** Whether a product is worth the copies; smaller ones are summed in double precision. */
export function isLarge(m: number, k: number, n: number): boolean {
  return m >= TALL && n >= WIDE && m * k * n >= 4096;
}

/** By the kernel, or by the plain loop, whose results are the same bits, where there is no SIMD. */
export const singles: Product<Float32Array> = (a, aAt, b, bAt, o, oAt, m, k, n) => {
  if (!hasSimd()) {
    plainSingles(a, aAt, b, bAt, o, oAt, m, k, n);
    return;
  }
  const { run, memory } = kernels();
  for (let term = 0; term < k; term += DEPTH) {
    const terms = Math.min(DEPTH, k - term);
    for (let column = 0; column < n; column += COLUMNS) {
      const width = Math.min(COLUMNS, n - column);
      const bytes = Math.ceil(width / WIDE) * WIDE * 4;
      takeRows(memory, B, ROW, b, bAt + term * n + column, n, terms, width);
      run.pack(bytes, terms);
      for (let row = 0; row < m; row += ROWS) {
        const rows = Math.min(ROWS, m - row);
        takeRows(memory, A, A_ROW, a, aAt + row * k + term, k, rows, terms);
        const at = oAt + row * n + column;
        if (term > 0) takeRows(memory, O, ROW, o, at, n, rows, width);
        run.product(bytes, rows, terms * 4, term > 0 ? -1 : 0);
        for (let i = 0; i < rows; i++) {
          const line = (O + i * ROW) / 4;
          o.set(memory.subarray(line, line + width), at + i * n);
        }
      }
    }
  }
};

/** The kernel's sums in the same order, each operation rounded to float32. */
export const plainSingles: Product<Float32Array> = (a, aAt, b, bAt, o, oAt, m, k, n) => {
  const sums = new Float32Array(n);
  for (let row = 0; row < m; row++) {
    const total = o.subarray(oAt + row * n, oAt + (row + 1) * n);
    total.fill(0);
    for (let from = 0; from < k; from += DEPTH) {
      sums.fill(0);
      for (let term = from; term < Math.min(k, from + DEPTH); term++) {
        const factor = a[aAt + row * k + term]!;
        const start = bAt + term * n;
        for (let column = 0; column < n; column++) sums[column]! += Math.fround(factor * b[start + column]!);
      }
      for (let column = 0; column < n; column++) total[column]! += sums[column]!;
    }
  }
};
