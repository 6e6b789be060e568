/** SIMD kernels of tensor arithmetic: same bits as plain loops, exp by units in the last place, odd values and lengths. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tensorFromStorage } from "../make.js";
import type { Tensor } from "../tensor.js";
import { softmax } from "./along-axis.js";
import { add, div, mul, sub } from "./binary.js";
import { matmul } from "./matmul.js";
import { argmax } from "./order.js";
import { DEPTH, plainSingles } from "./product-kernel.js";
import { max, min, sum } from "./reduce.js";
import { exp } from "./unary.js";

const ODD = [Number.NaN, 1 / 0, -1 / 0, 0, -0, 1e-45, -1e-40, 3.4e38, -3.4e38, 1, -1];
const LENGTHS = [128, 129, 1000, 8192, 8193, 20011];

let seed = 3;
function random(): number {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed / 2 ** 31 - 1;
}

function vector(values: Float32Array): Tensor<"float32"> {
  return tensorFromStorage("float32", [values.length], values);
}

function scattered(length: number, odd: boolean): Float32Array {
  return Float32Array.from({ length }, () =>
    odd && random() > 0.6 ? ODD[Math.floor(Math.abs(random()) * 10.99)]! : random() * 10 ** (random() * 8),
  );
}

/** Bits with all NaN alike. */
function bits(x: Float32Array): Uint32Array {
  return new Uint32Array(x.map((value) => (Number.isNaN(value) ? Number.NaN : value)).buffer);
}

/** Distance in units of the last place of a float32 that the exact value would have. */
function units(got: number, exact: number): number {
  if (Object.is(got, Math.fround(exact))) return 0;
  const exponent = Math.max(Math.floor(Math.log2(exact)), -126);
  return Math.abs(got - exact) / 2 ** (exponent - 23);
}

test("add, sub, mul and div give the bits of single precision for every length and odd values", () => {
  for (const length of LENGTHS) {
    const [a, b] = [scattered(length, true), scattered(length, true)];
    const expected = {
      add: a.map((x, i) => x + b[i]!),
      sub: a.map((x, i) => x - b[i]!),
      mul: a.map((x, i) => x * b[i]!),
      div: a.map((x, i) => x / b[i]!),
    };
    for (const [name, operation] of Object.entries({ add, sub, mul, div })) {
      const got = operation(vector(a), vector(b)).data;
      assert.deepEqual(bits(got), bits(expected[name as keyof typeof expected]), `${name} ${length}`);
    }
    const inPlace = vector(a.slice());
    add(inPlace, vector(b), { into: inPlace });
    assert.deepEqual(bits(inPlace.data), bits(expected.add));
  }
});

test("exp stays within 1.1 units in the last place, from underflow through denormals to overflow", () => {
  const x = Float32Array.from({ length: 400_000 }, (_, i) => -106 + (i * 196) / 400_000);
  const y = exp(vector(x)).data;
  let worst = 0;
  x.forEach((value, i) => void (worst = Math.max(worst, units(y[i]!, Math.exp(value)))));
  assert.ok(worst <= 1.1, `${worst} units`);
  const odd = new Float32Array(200).fill(0);
  odd.set([Number.NaN, 1 / 0, -1 / 0, -0, 1e-45, 88.7228, -200, 1e30]);
  const [nan, top, bottom, zero, tiny, large, under, over] = exp(vector(odd)).data;
  assert.ok(Number.isNaN(nan) && Number.isFinite(large));
  assert.deepEqual([top, bottom, zero, tiny, under, over], [1 / 0, 0, 1, 1, 0, 1 / 0]);
});

test("sums accumulate in double precision", () => {
  for (const length of LENGTHS) {
    const x = scattered(length, false);
    const exact = x.reduce((total, value) => total + value, 0);
    const scale = x.reduce((total, value) => total + Math.abs(value), 0);
    assert.ok(
      Math.abs(sum(vector(x)).data[0]! - Math.fround(exact)) <= Math.abs(exact) * 2 ** -23 + scale * 1e-13,
    );
  }
  const cancelling = new Float32Array(4096).fill(1);
  cancelling[0] = 1e10;
  cancelling[4095] = -1e10;
  assert.equal(sum(vector(cancelling)).data[0]!, 4094);
});

test("max, min and argmax see NaN, infinities and signed zeros at any place", () => {
  for (const length of LENGTHS) {
    const x = scattered(length, false);
    const at = length - 2;
    assert.equal(
      max(vector(x)).data[0]!,
      x.reduce((a, b) => Math.max(a, b)),
    );
    assert.equal(
      min(vector(x)).data[0]!,
      x.reduce((a, b) => Math.min(a, b)),
    );
    assert.equal(Number(argmax(vector(x)).data[0]!), x.indexOf(Math.max(...x)));
    x[at] = Number.NaN;
    assert.ok(Number.isNaN(max(vector(x)).data[0]!) && Number.isNaN(min(vector(x)).data[0]!));
    assert.equal(Number(argmax(vector(x)).data[0]!), at);
    const zeros = new Float32Array(length).fill(-0);
    assert.ok(Object.is(max(vector(zeros)).data[0]!, -0));
    zeros[at] = 0;
    assert.ok(Object.is(max(vector(zeros)).data[0]!, 0));
    assert.ok(Object.is(min(vector(zeros)).data[0]!, -0));
  }
});

test("softmax of long rows", () => {
  for (const length of [128, 131, 4096]) {
    const x = Float32Array.from({ length }, () => random() * 20 - 40);
    x[3] = Number.NEGATIVE_INFINITY;
    const top = Math.max(...x);
    const total = x.reduce((acc, value) => acc + Math.exp(Math.fround(value - top)), 0);
    softmax(vector(x)).data.forEach((y, i) => {
      const exact = Math.exp(Math.fround(x[i]! - top)) / total;
      assert.ok(Math.abs(y - exact) <= exact * 4e-7 + 1e-44, `${i}: ${y}, exact ${exact}`);
    });
    x[5] = Number.NaN;
    assert.ok(softmax(vector(x)).data.every(Number.isNaN));
  }
});

test("large products have the bits of the plain loop, at sizes around the kernel's blocks", () => {
  const sizes = [
    [4, 200, 8],
    [5, 256, 9],
    [65, 257, 17],
    [67, 600, 515],
    [130, 3, 1030],
  ] as const;
  for (const [m, k, n] of sizes) {
    const [a, b, plain] = [scattered(m * k, false), scattered(k * n, false), new Float32Array(m * n)];
    plainSingles(a, 0, b, 0, plain, 0, m, k, n);
    const product = matmul(vector(a).reshape([m, k]), vector(b).reshape([k, n]));
    assert.deepEqual(bits(product.data), bits(plain), `${m} × ${k} × ${n}`);
  }
});

test("large products: a NaN stays in its row and column, views and batches are read where they lie", () => {
  const [m, k, n] = [9, DEPTH + 1, 11];
  const a = vector(Float32Array.from({ length: 2 * m * k }, (_, i) => (i % 7) - 3)).reshape([2, m, k]);
  const b = vector(Float32Array.from({ length: n * k }, (_, i) => (i % 5) - 2)).reshape([n, k]);
  a.data[k + 3] = Number.NaN;
  const product = matmul(a, b.transpose());
  for (let batch = 0; batch < 2; batch++)
    for (let i = 0; i < m; i++)
      for (let j = 0; j < n; j++) {
        let exact = 0;
        for (let p = 0; p < k; p++) exact += a.data[(batch * m + i) * k + p]! * b.data[j * k + p]!;
        assert.ok(Object.is(product.data[(batch * m + i) * n + j], exact + 0), `${batch} ${i} ${j}`);
      }
});
