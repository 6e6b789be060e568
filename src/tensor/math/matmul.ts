/** Matrix products by numpy's rules: SIMD for large ones of float32, else packed panels of doubles. */
import { TenonError } from "../../base/index.js";
import { type DType, dtypeInfo } from "../dtype.js";
import { broadcastShapes, sizeOf } from "../layout.js";
import type { Tensor } from "../tensor.js";
import { type Block, type Domain, domainOf } from "./blocks.js";
import { gathered, resultArray } from "./dense.js";
import { type Into, resultTensor, sameDType } from "./operands.js";
import { isLarge, type Product, singles } from "./product-kernel.js";

/** Rows and columns of results that one pass of the inner loop holds. */
const TILE = 4;
/** Terms added up in one pass: a panel of A and one of B of this depth fit the first-level cache. */
const DEPTH = 512;

/**
 * Matrix product: [..., m, k] × [..., k, n] → [..., m, n]; leading dimensions broadcast. A 1-D operand is a row on the
 * left, a column on the right, and that dimension goes again. Integers wrap. float64 and small products (fewer than 4
 * rows, 8 columns or 4,096 multiplications) accumulate in double precision, larger ones of float32 in single, in order
 * within each 256 terms, then over those sums; the bits are the same on every machine.
 * Throws TENSOR_DTYPE when the dtypes differ, TENSOR_SHAPE when the inner dimensions do or an operand is a scalar.
 */
export function matmul<D extends DType>(
  a: Tensor<D>,
  b: Tensor<NoInfer<D>>,
  options: Into<NoInfer<D>> = {},
): Tensor<D> {
  const [left, right] = sameDType("matmul", a as Tensor, b as Tensor) as [Tensor, Tensor];
  const domain = domainOf(a.dtype);
  if (domain === undefined || dtypeInfo(a.dtype).kind === "bool") {
    throw new TenonError("TENSOR_DTYPE", {
      problem: `matmul does not take ${a.dtype}`,
      do: 'cast first, for example cast(x, "float32")',
    });
  }
  if (left.rank === 0 || right.rank === 0) {
    throw new TenonError("TENSOR_SHAPE", { problem: "matmul of a scalar", do: "use mul" });
  }
  const rows = left.rank === 1 ? left.unsqueeze(0) : left;
  const columns = right.rank === 1 ? right.unsqueeze(1) : right;
  const [m, k, n] = [rows.shape.at(-2)!, rows.shape.at(-1)!, columns.shape.at(-1)!];
  if (columns.shape.at(-2) !== k) {
    throw new TenonError("TENSOR_SHAPE", {
      problem: "the inner dimensions differ",
      given: `[${left.shape.join(", ")}] and [${right.shape.join(", ")}]`,
      expected: `${k} rows on the right`,
    });
  }
  const batch = broadcastShapes(rows.shape.slice(0, -2), columns.shape.slice(0, -2));
  const shape = [...batch, ...(left.rank === 1 ? [] : [m]), ...(right.rank === 1 ? [] : [n])];
  const out = resultTensor(a.dtype, shape, options.into);
  const target = sharesStorage(out as Tensor, left, right) ? resultTensor(a.dtype, shape, undefined) : out;
  multiply(domain, rows, columns, { batch, m, k, n }, target as Tensor);
  if (target !== out) copyInto(target as Tensor, out as Tensor);
  return out;
}

/** Sum of products of two vectors, a scalar. Throws TENSOR_SHAPE for other ranks: `matmul` takes them. */
export function dot<D extends DType>(
  a: Tensor<D>,
  b: Tensor<NoInfer<D>>,
  options: Into<NoInfer<D>> = {},
): Tensor<D> {
  if (a.rank === 1 && b.rank === 1) return matmul(a, b, options);
  throw new TenonError("TENSOR_SHAPE", {
    given: `ranks ${a.rank} and ${b.rank}`,
    expected: "two vectors",
    do: "use matmul",
  });
}

function sharesStorage(out: Tensor, ...operands: readonly Tensor[]): boolean {
  const bufferOf = (x: Tensor): unknown => ArrayBuffer.isView(x.storage) && x.storage.buffer;
  return operands.some((operand) => bufferOf(operand) === bufferOf(out));
}

function copyInto(from: Tensor, out: Tensor): void {
  const source = gathered(from);
  const target = resultArray(out);
  (target.array as Float64Array).set(
    source.array.subarray(source.at, source.at + from.size) as Float64Array,
    target.at,
  );
  target.deliver();
}

interface Sizes {
  readonly batch: readonly number[];
  readonly m: number;
  readonly k: number;
  readonly n: number;
}

function multiply(domain: Domain, a: Tensor, b: Tensor, sizes: Sizes, out: Tensor): void {
  const { batch, m, k, n } = sizes;
  const count = sizeOf(batch);
  if (count * m * n === 0) return;
  const left = gathered(a);
  const right = gathered(b);
  const result = resultArray(out);
  const leftStarts = batchStarts(a.shape.slice(0, -2), batch, m * k);
  const rightStarts = batchStarts(b.shape.slice(0, -2), batch, k * n);
  const product = PRODUCTS[domain] as Product<Block>;
  for (let i = 0; i < count; i++) {
    product(
      left.array,
      left.at + leftStarts[i]!,
      right.array,
      right.at + rightStarts[i]!,
      result.array,
      result.at + i * m * n,
      m,
      k,
      n,
    );
  }
  result.deliver();
}

/** Where each matrix of the broadcast batch starts in an operand's dense array. */
function batchStarts(own: readonly number[], batch: readonly number[], matrix: number): number[] {
  let starts = [0];
  let step = matrix;
  const steps = new Array<number>(batch.length).fill(0);
  for (let axis = own.length - 1; axis >= 0; axis--) {
    if (own[axis] !== 1) steps[batch.length - own.length + axis] = step;
    step *= own[axis]!;
  }
  batch.forEach((dim, axis) => {
    starts = starts.flatMap((start) => Array.from({ length: dim }, (_, i) => start + i * steps[axis]!));
  });
  return starts;
}

const PRODUCTS = {
  float32: ((a, aAt, b, bAt, o, oAt, m, k, n) => {
    if (isLarge(m, k, n)) singles(a, aAt, b, bAt, o, oAt, m, k, n);
    else panels(a, aAt, b, bAt, o, oAt, m, k, n);
  }) as Product<Float32Array>,
  float64: panels as Product<Float64Array>,
  int: wrapping,
  big: bigProduct,
} as const satisfies Record<Domain, unknown>;

type Floats = Float32Array | Float64Array;

function panels(
  a: Floats,
  aAt: number,
  b: Floats,
  bAt: number,
  o: Floats,
  oAt: number,
  m: number,
  k: number,
  n: number,
): void {
  const depth = Math.min(k, DEPTH);
  const width = Math.ceil(n / TILE) * TILE;
  const bPanels = new Float64Array(depth * width);
  const aPanel = new Float64Array(depth * TILE);
  const strip = new Float64Array(TILE * width);
  const sums = k > DEPTH ? new Float64Array(m * n) : undefined;
  for (let from = 0; from < Math.max(k, 1); from += DEPTH) {
    const terms = Math.min(k - from, DEPTH);
    packColumns(b, bAt + from * n, terms, n, bPanels);
    for (let row = 0; row < m; row += TILE) {
      const height = Math.min(TILE, m - row);
      packRows(a, aAt + row * k + from, terms, k, height, aPanel);
      for (let column = 0; column < n; column += TILE)
        tile(aPanel, bPanels, column * terms, terms, strip, column, width);
      for (let i = 0; i < height; i++) {
        const line = strip.subarray(i * width, i * width + n);
        if (sums === undefined) o.set(line, oAt + (row + i) * n);
        else addLine(line, sums, (row + i) * n);
      }
    }
  }
  if (sums !== undefined) o.set(sums, oAt);
}

function addLine(line: Float64Array, sums: Float64Array, at: number): void {
  for (let i = 0; i < line.length; i++) sums[at + i]! += line[i]!;
}

/** Columns in groups of TILE, each group term by term; missing columns are 0. */
function packColumns(b: Floats, at: number, terms: number, n: number, panels: Float64Array): void {
  let next = 0;
  for (let column = 0; column < n; column += TILE) {
    const present = Math.min(TILE, n - column);
    for (let term = 0; term < terms; term++, next += TILE) {
      const start = at + term * n + column;
      for (let i = 0; i < present; i++) panels[next + i] = b[start + i]!;
      for (let i = present; i < TILE; i++) panels[next + i] = 0;
    }
  }
}

/** TILE rows, term by term; missing rows are 0. */
function packRows(
  a: Floats,
  at: number,
  terms: number,
  k: number,
  height: number,
  panel: Float64Array,
): void {
  for (let i = 0; i < TILE; i++) {
    if (i >= height) {
      for (let term = 0; term < terms; term++) panel[term * TILE + i] = 0;
    } else {
      const start = at + i * k;
      for (let term = 0; term < terms; term++) panel[term * TILE + i] = a[start + term]!;
    }
  }
}

function tile(
  a: Float64Array,
  b: Float64Array,
  q: number,
  terms: number,
  o: Float64Array,
  at: number,
  width: number,
): void {
  let s00 = 0,
    s01 = 0,
    s02 = 0,
    s03 = 0;
  let s10 = 0,
    s11 = 0,
    s12 = 0,
    s13 = 0;
  let s20 = 0,
    s21 = 0,
    s22 = 0,
    s23 = 0;
  let s30 = 0,
    s31 = 0,
    s32 = 0,
    s33 = 0;
  for (let p = 0; p < terms * TILE; p += TILE, q += TILE) {
    const b0 = b[q]!;
    const b1 = b[q + 1]!;
    const b2 = b[q + 2]!;
    const b3 = b[q + 3]!;
    const a0 = a[p]!;
    s00 += a0 * b0;
    s01 += a0 * b1;
    s02 += a0 * b2;
    s03 += a0 * b3;
    const a1 = a[p + 1]!;
    s10 += a1 * b0;
    s11 += a1 * b1;
    s12 += a1 * b2;
    s13 += a1 * b3;
    const a2 = a[p + 2]!;
    s20 += a2 * b0;
    s21 += a2 * b1;
    s22 += a2 * b2;
    s23 += a2 * b3;
    const a3 = a[p + 3]!;
    s30 += a3 * b0;
    s31 += a3 * b1;
    s32 += a3 * b2;
    s33 += a3 * b3;
  }
  o[at] = s00;
  o[at + 1] = s01;
  o[at + 2] = s02;
  o[at + 3] = s03;
  at += width;
  o[at] = s10;
  o[at + 1] = s11;
  o[at + 2] = s12;
  o[at + 3] = s13;
  at += width;
  o[at] = s20;
  o[at + 1] = s21;
  o[at + 2] = s22;
  o[at + 3] = s23;
  at += width;
  o[at] = s30;
  o[at + 1] = s31;
  o[at + 2] = s32;
  o[at + 3] = s33;
}

/** Modulo 2^32, which every dtype of the int domain truncates further. */
function wrapping(
  a: Float64Array,
  aAt: number,
  b: Float64Array,
  bAt: number,
  o: Float64Array,
  oAt: number,
  m: number,
  k: number,
  n: number,
): void {
  const line = new Int32Array(n);
  for (let row = 0; row < m; row++) {
    line.fill(0);
    for (let term = 0; term < k; term++) {
      const factor = a[aAt + row * k + term]!;
      const start = bAt + term * n;
      for (let column = 0; column < n; column++) line[column]! += Math.imul(factor, b[start + column]!);
    }
    o.set(line, oAt + row * n);
  }
}

function bigProduct(
  a: Block<"big">,
  aAt: number,
  b: Block<"big">,
  bAt: number,
  o: Block<"big">,
  oAt: number,
  m: number,
  k: number,
  n: number,
): void {
  for (let row = 0; row < m; row++) {
    for (let column = 0; column < n; column++) {
      let total = 0n;
      for (let term = 0; term < k; term++) total += a[aAt + row * k + term]! * b[bAt + term * n + column]!;
      o[oAt + row * n + column] = total;
    }
  }
}
