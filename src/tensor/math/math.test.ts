/** Arithmetic: what it refuses, in-place results, layouts and sums that stay exact. Values are held against numpy elsewhere. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type ErrorCode, isTenonError } from "../../base/index.js";
import {
  add,
  arange,
  argmax,
  argsort,
  cast,
  clip,
  concat,
  type DType,
  div,
  dot,
  equal,
  eye,
  full,
  greater,
  isInfinite,
  isNan,
  linspace,
  logicalAnd,
  logicalNot,
  matmul,
  max,
  mean,
  mod,
  mul,
  neg,
  normalize,
  oneHot,
  ones,
  pad,
  pow,
  prod,
  relu,
  sigmoid,
  softmax,
  sort,
  stack,
  standardize,
  std,
  sub,
  sum,
  type Tensor,
  take,
  tanh,
  tensor,
  topK,
  variance,
  where,
  zeros,
} from "../index.js";

function throwsCode(code: ErrorCode, body: () => unknown, text?: RegExp): void {
  assert.throws(body, (error) => isTenonError(error, code) && (text?.test(error.message) ?? true));
}

test("dtypes never mix, and the error names cast", () => {
  throwsCode("TENSOR_DTYPE", () => add(tensor([1]), tensor([1n]) as never), /cast\(x, "float32"\)/);
  throwsCode("TENSOR_DTYPE", () => div(tensor([1n]), 2n), /cast/);
  throwsCode("TENSOR_DTYPE", () => mean(tensor([1n])), /cast/);
  throwsCode("TENSOR_DTYPE", () => add(tensor([true]), true), /logicalAnd/);
  throwsCode("TENSOR_DTYPE", () => add(tensor([1], { dtype: "float8e5m2" }), 1), /cast/);
  throwsCode("TENSOR_DTYPE", () => logicalAnd(tensor([1]) as never, tensor([1]) as never), /notEqual/);
  throwsCode("TENSOR_DTYPE", () => softmax(tensor(["a"])));
  throwsCode("TENSOR_DTYPE", () => greater(tensor(["a"]), tensor(["b"])), /equal/);
  throwsCode("TENSOR_VALUE", () => add(tensor([1], { dtype: "uint8" }), 256));
  throwsCode("TENSOR_VALUE", () => add(tensor([1], { dtype: "int32" }), 0.5));
});

test("a scalar takes the tensor's dtype", () => {
  assert.equal(mul(tensor([1, 2], { dtype: "float16" }), 3).dtype, "float16");
  assert.deepEqual(sub(10n, tensor([1n, 2n])).toArray(), [9n, 8n]);
  assert.deepEqual(add(tensor([1n]), 2).toArray(), [3n]);
  assert.equal(add(1, 2).at(), 3);
});

test("shapes broadcast or are refused", () => {
  assert.deepEqual(add(zeros("float32", [3, 1]), zeros("float32", [4])).shape, [3, 4]);
  assert.deepEqual(add(zeros("float32", [0, 1]), zeros("float32", [4])).shape, [0, 4]);
  throwsCode("TENSOR_SHAPE", () => add(zeros("float32", [3]), zeros("float32", [4])), /\[3\] and \[4\]/);
});

test("into takes the result, also in place, on a view, and over overlapping operands", () => {
  const x = tensor([1, 2, 3, 4]);
  const out = zeros("float32", [4]);
  assert.equal(add(x, 1, { into: out }), out);
  assert.deepEqual(out.toArray(), [2, 3, 4, 5]);
  add(x, x, { into: x });
  assert.deepEqual(x.toArray(), [2, 4, 6, 8]);
  add(x, x.slice([null, null, -1]), { into: x });
  assert.deepEqual(x.toArray(), [10, 10, 10, 10]);
  const grid = zeros("float32", [2, 3]);
  neg(tensor([1, 2]), { into: grid.select(1, 1) });
  assert.deepEqual(grid.toArray(), [
    [0, -1, 0],
    [0, -2, 0],
  ]);
  const square = tensor([
    [1, 2],
    [3, 4],
  ]);
  matmul(square, square, { into: square });
  assert.deepEqual(square.toArray(), [
    [7, 10],
    [15, 22],
  ]);
  const line = arange(0, 6);
  concat([line.slice([0, 3]), line.slice([0, 3])], { into: line });
  assert.deepEqual(line.toArray(), [0, 1, 2, 0, 1, 2]);
  throwsCode("TENSOR_SHAPE", () => add(x, 1, { into: zeros("float32", [5]) }));
  throwsCode("TENSOR_DTYPE", () => add(x, 1, { into: zeros("float64", [4]) as never }));
  throwsCode("TENSOR_SHAPE", () => add(x, 1, { into: zeros("float32", [1]).broadcastTo([4]) }));
});

test("elementwise results do not depend on layout or block borders", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 1500 }),
      fc.nat(3),
      (rows, columns, step) => {
        const base = arange(0, rows * columns * (step + 1)).reshape([rows, columns * (step + 1)]);
        const view = base.slice(null, [null, null, step + 1]);
        const expected = mul(view.clone(), view.clone());
        assert.deepEqual(mul(view, view).data, expected.data);
        const flipped = view.slice(null, [null, null, -1]);
        assert.deepEqual(mul(flipped, flipped).slice(null, [null, null, -1]).clone().data, expected.data);
        assert.deepEqual(mul(view.transpose(), view.transpose()).transpose().clone().data, expected.data);
        assert.equal(sum(view.transpose()).at(), sum(view.clone()).at());
        assert.deepEqual(max(view, { axis: 0 }).data, max(view.transpose().clone(), { axis: 1 }).data);
      },
    ),
    { seed: 7, numRuns: 40 },
  );
});

test("a float32 sum of ten million tenths is right", () => {
  const x = full("float32", [1], 0.1).broadcastTo([10_000_000]);
  const exact = Math.fround(0.1) * 1e7;
  assert.ok(Math.abs(Number(sum(x).at()) / exact - 1) < 1e-6);
  assert.ok(Math.abs(Number(mean(x).at()) / Math.fround(0.1) - 1) < 1e-6);
  assert.ok(Number(std(x).at()) < 1e-7);
});

test("integers: elementwise wrap, reductions refuse what does not fit", () => {
  assert.deepEqual(add(tensor([255], { dtype: "uint8" }), 1).toArray(), [0]);
  assert.deepEqual(mul(tensor([2 ** 30], { dtype: "int32" }), 4).toArray(), [0]);
  assert.deepEqual(mul(tensor([65537], { dtype: "int32" }), 65537).toArray(), [131073]);
  assert.deepEqual(add(tensor([2n ** 63n - 1n]), 1n).toArray(), [-(2n ** 63n)]);
  assert.deepEqual(pow(tensor([3], { dtype: "int32" }), 21).toArray(), [
    Number(BigInt.asIntN(32, 3n ** 21n)),
  ]);
  assert.deepEqual(
    mod(tensor([-7, 7], { dtype: "int32" }), tensor([3, 0], { dtype: "int32" })).toArray(),
    [2, 0],
  );
  throwsCode("TENSOR_VALUE", () => pow(tensor([3n]), -1n));
  throwsCode("TENSOR_VALUE", () => sum(tensor([200, 100], { dtype: "uint8" })), /cast\(x, "int64"\)/);
  throwsCode("TENSOR_VALUE", () => sum(tensor([2n ** 62n, 2n ** 62n])));
  throwsCode("TENSOR_VALUE", () => prod(tensor([2 ** 20, 2 ** 20], { dtype: "int32" })));
  assert.equal(sum(cast(tensor([200, 100], { dtype: "uint8" }), "int64")).at(), 300n);
  assert.equal(max(tensor([false, true])).at(), true);
});

test("reductions of nothing, over axes, with keepDims", () => {
  const none = zeros("float32", [0, 3]);
  assert.deepEqual(sum(none, { axis: 0 }).toArray(), [0, 0, 0]);
  assert.deepEqual(sum(none, { axis: 1 }).toArray(), []);
  assert.equal(prod(none).at(), 1);
  assert.ok(Number.isNaN(mean(none).at()));
  throwsCode("TENSOR_SHAPE", () => max(none, { axis: 0 }));
  throwsCode("TENSOR_SHAPE", () => argmax(none));
  assert.deepEqual(max(none, { axis: 1 }).shape, [0]);
  const x = arange(0, 24).reshape([2, 3, 4]);
  assert.deepEqual(sum(x, { axis: [0, -1], keepDims: true }).shape, [1, 3, 1]);
  assert.deepEqual(sum(x, { axis: [0, 2] }).toArray(), [60, 92, 124]);
  throwsCode("TENSOR_SHAPE", () => sum(x, { axis: [0, -3] }));
  throwsCode("TENSOR_SHAPE", () => sum(x, { axis: 3 }));
  assert.equal(argmax(tensor([1, Number.NaN, 3])).at(), 1n);
  assert.equal(variance(tensor([1, 3]), { correction: 1 }).at(), 2);
});

test("softmax of extreme logits neither overflows nor loses its sum", () => {
  const x = tensor([
    [1000, 1000, -1000],
    [-1e30, 0, Number.NEGATIVE_INFINITY],
  ]);
  assert.deepEqual(softmax(x).toArray(), [
    [0.5, 0.5, 0],
    [0, 1, 0],
  ]);
  assert.deepEqual(softmax(x.transpose(), { axis: 0 }).transpose().toArray(), softmax(x).toArray());
});

test("float32 exp, sigmoid and tanh are within one unit in the last place", () => {
  fc.assert(
    fc.property(fc.float({ noNaN: true, min: -110, max: 95 }), (value) => {
      const x = tensor([value]);
      const near = (got: unknown, exact: number): void => {
        const rounded = Math.fround(exact);
        const unit = Math.max(Math.abs(rounded) * 2 ** -23, 2 ** -149);
        assert.ok(
          Object.is(got, rounded) || Math.abs(Number(got) - rounded) <= unit,
          `f(${value}) = ${got}, not ${rounded}`,
        );
      };
      near(sigmoid(x).at(0), 1 / (1 + Math.exp(-value)));
      near(tanh(x).at(0), Math.tanh(value));
    }),
    { seed: 5, numRuns: 3000 },
  );
});

test("cast converts, rounds once, saturates small floats, and refuses what does not fit", () => {
  assert.deepEqual(cast(tensor([1.9, -1.9]), "int32").toArray(), [1, -1]);
  assert.deepEqual(cast(tensor([0, 0.1, Number.NaN]), "bool").toArray(), [false, true, true]);
  assert.deepEqual(cast(tensor([true, false]), "int64").toArray(), [1n, 0n]);
  assert.deepEqual(cast(tensor([1e300], { dtype: "float64" }), "float32").toArray(), [
    Number.POSITIVE_INFINITY,
  ]);
  assert.deepEqual(cast(tensor([1000, -0.3]), "float8e4m3fn").toArray(), [448, -0.3125]);
  assert.deepEqual(cast(tensor([70000]), "float16").toArray(), [Number.POSITIVE_INFINITY]);
  // 1 + 2^-11 + 2^-40: through float32 it would become the tie 1 + 2^-11 and round down to 1.
  const tie = tensor([1 + 2 ** -11 + 2 ** -40], { dtype: "float64" });
  assert.deepEqual(cast(tie, "float16").toArray(), [1 + 2 ** -10]);
  assert.deepEqual(cast(tensor(["1.5", "-inf", " 2 "]), "float32").toArray(), [
    1.5,
    Number.NEGATIVE_INFINITY,
    2,
  ]);
  assert.deepEqual(cast(tensor(["9007199254740993"]), "int64").toArray(), [9007199254740993n]);
  assert.deepEqual(cast(tensor([0.1, 3]), "string").toArray(), ["0.1", "3"]);
  assert.deepEqual(cast(tensor([1, 2], { dtype: "int4" }), "float32").toArray(), [1, 2]);
  assert.deepEqual(cast(tensor([1, 2]), "complex64").toArray(), [
    [1, 0],
    [2, 0],
  ]);
  throwsCode("TENSOR_VALUE", () => cast(tensor([300]), "uint8"), /300/);
  throwsCode("TENSOR_VALUE", () => cast(tensor([Number.NaN]), "int32"));
  throwsCode("TENSOR_VALUE", () => cast(tensor([-1n]), "uint64"));
  throwsCode("TENSOR_VALUE", () => cast(tensor([2n ** 40n]), "int32"));
  throwsCode("TENSOR_VALUE", () => cast(tensor(["x"]), "float32"));
  throwsCode("TENSOR_DTYPE", () => cast(tensor([[1, 2]], { dtype: "complex64" }), "float32"));
  const x = tensor([1]);
  assert.equal(cast(x, "float32"), x);
});

test("where, clip, relu and the tests keep NaN where it belongs", () => {
  const x = tensor([-1, Number.NaN, 2]);
  assert.deepEqual(relu(x).toArray(), [0, Number.NaN, 2]);
  assert.deepEqual(clip(x, 0, 1).toArray(), [0, Number.NaN, 1]);
  assert.deepEqual(where(isNan(x), 0, x).toArray(), [-1, 0, 2]);
  assert.deepEqual(isInfinite(tensor([1 / 0, 1])).toArray(), [true, false]);
  assert.deepEqual(logicalNot(tensor([true, false])).toArray(), [false, true]);
  assert.deepEqual(where(tensor([[true], [false]]), tensor(["a", "b"]), tensor(["c", "d"])).toArray(), [
    ["a", "b"],
    ["c", "d"],
  ]);
  assert.deepEqual(
    where(
      tensor([true, false]),
      tensor([1, 2], { dtype: "int4" }),
      tensor([3, 4], { dtype: "int4" }),
    ).toArray(),
    [1, 4],
  );
  assert.deepEqual(equal(tensor(["a", "b"]), tensor(["a"])).toArray(), [true, false]);
  throwsCode("TENSOR_DTYPE", () => where(tensor([1]) as never, x, x));
});

test("sort, argsort and topK put NaN last and keep ties in order", () => {
  const x = tensor([2, Number.NaN, 1, 2]);
  assert.deepEqual(sort(x).toArray(), [1, 2, 2, Number.NaN]);
  assert.deepEqual(sort(x, { descending: true }).toArray(), [Number.NaN, 2, 2, 1]);
  assert.deepEqual(argsort(x).toArray(), [2n, 0n, 3n, 1n]);
  assert.deepEqual(argsort(x, { descending: true }).toArray(), [1n, 0n, 3n, 2n]);
  assert.deepEqual(topK(x, 2, { largest: false }).indices.toArray(), [2n, 0n]);
  assert.deepEqual(
    topK(
      tensor([
        [1, 3],
        [2, 0],
      ]),
      1,
      { axis: 0 },
    ).values.toArray(),
    [[2, 3]],
  );
  assert.deepEqual(topK(tensor([5n, 7n]), 1).indices.toArray(), [1n]);
  throwsCode("TENSOR_SHAPE", () => topK(x, 5));
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 1, maxLength: 200 }),
      fc.boolean(),
      (list, largest) => {
        const row = tensor(list, { dtype: "int32" });
        const order = argsort(row, { descending: largest }).toArray() as bigint[];
        for (const k of [1, Math.min(list.length, 70), list.length]) {
          assert.deepEqual(topK(row, k, { largest }).indices.toArray(), order.slice(0, k));
        }
      },
    ),
    { seed: 3 },
  );
});

test("matmul takes vectors, broadcasts batches, and is exact for integers", () => {
  const a = arange(0, 6).reshape([2, 3]);
  const v = tensor([1, 0, -1]);
  assert.deepEqual(matmul(a, v).toArray(), [-2, -2]);
  assert.deepEqual(matmul(v, a.transpose()).toArray(), [-2, -2]);
  assert.equal(dot(v, v).at(), 2);
  assert.deepEqual(matmul(ones("float32", [4, 1, 2, 3]), ones("float32", [5, 3, 2])).shape, [4, 5, 2, 2]);
  assert.deepEqual(matmul(zeros("float32", [2, 0]), zeros("float32", [0, 3])).toArray(), [
    [0, 0, 0],
    [0, 0, 0],
  ]);
  const big = tensor([[2n ** 62n, 3n]]);
  assert.deepEqual(matmul(big, big.transpose()).toArray(), [[BigInt.asIntN(64, 2n ** 124n + 9n)]]);
  throwsCode("TENSOR_SHAPE", () => matmul(a, a), /3 rows/);
  throwsCode("TENSOR_SHAPE", () => matmul(a, tensor(1)));
  throwsCode("TENSOR_SHAPE", () => dot(a, v));
  // More terms than one pass adds up, and edges that are no multiple of a tile.
  const long = linspace(-1, 1, 1301);
  const expected = long.data.reduce((total, x) => total + x * x, 0);
  const product = matmul(long.broadcastTo([3, 1301]), long.unsqueeze(1).broadcastTo([1301, 5]));
  for (const value of product.data) assert.ok(Math.abs(value / expected - 1) < 1e-6);
});

test("concat, stack, pad, take and oneHot move every dtype", () => {
  const dtypes: readonly DType[] = ["float32", "int4", "complex64", "bool", "uint64", "string", "float6e2m3"];
  const samples: Readonly<Record<string, unknown>> = {
    bool: [true, false],
    string: ["a", "b"],
    complex64: [
      [1, 2],
      [3, 4],
    ],
  };
  for (const dtype of dtypes) {
    const x = tensor((samples[dtype] ?? [1, 2]) as never, { dtype }) as Tensor;
    const [a, b] = x.toArray() as unknown[];
    assert.deepEqual(concat([x, x.slice([null, null, -1])]).toArray(), [a, b, b, a], dtype);
    assert.deepEqual(stack([x, x], { axis: 1 }).toArray(), [
      [a, a],
      [b, b],
    ]);
    assert.deepEqual(take(x, [1, 0, -1]).toArray(), [b, a, b]);
    assert.deepEqual(pad(x, [[1, 2]], { mode: "edge" }).toArray(), [a, a, b, b, b]);
    assert.deepEqual(pad(x, [[1, 1]], { mode: "reflect" }).toArray(), [b, a, b, a]);
    assert.equal(pad(x, [[1, 0]]).shape[0], 3);
  }
  assert.deepEqual(
    pad(
      tensor([["a"]]),
      [
        [0, 1],
        [1, 0],
      ],
      { value: "-" },
    ).toArray(),
    [
      ["-", "a"],
      ["-", "-"],
    ],
  );
  assert.deepEqual(
    pad(
      tensor([[1]]),
      [
        [0, 0],
        [0, 0],
      ],
      { mode: "edge" },
    ).toArray(),
    [[1]],
  );
  assert.deepEqual(take(arange(0, 6).reshape([2, 3]), tensor([[2n], [0n]]), { axis: 1 }).shape, [2, 2, 1]);
  assert.deepEqual(oneHot([0, -1], 3).toArray(), [
    [1, 0, 0],
    [0, 0, 1],
  ]);
  assert.deepEqual(oneHot(tensor([1n]), 2, { dtype: "int64", axis: 0, on: 5, off: -1 }).toArray(), [
    [-1n],
    [5n],
  ]);
  assert.deepEqual(oneHot([1], 2, { dtype: "bool" }).toArray(), [[false, true]]);
  throwsCode("TENSOR_SHAPE", () => concat([zeros("float32", [2, 2]), zeros("float32", [2, 3])]));
  throwsCode("TENSOR_DTYPE", () => concat([tensor([1]), tensor([1n]) as never]));
  throwsCode("TENSOR_SHAPE", () => concat([]));
  const text = tensor(["a"]);
  throwsCode("TENSOR_DTYPE", () => concat([text], { into: text }), /into/);
  throwsCode("TENSOR_DTYPE", () => take(text, [0], { into: text }), /into/);
  throwsCode("TENSOR_DTYPE", () => pad(text, [[1, 0]], { into: text }), /into/);
  throwsCode("TENSOR_DTYPE", () => where(tensor([true]), text, text, { into: text }), /into/);
  throwsCode("TENSOR_DTYPE", () => cast(tensor([1]), "string", { into: text }), /into/);
  throwsCode("TENSOR_VALUE", () => take(tensor([1]), [1]));
  throwsCode("TENSOR_VALUE", () => take(tensor([1]), [0.5]));
  throwsCode("TENSOR_VALUE", () => oneHot([3], 3));
  throwsCode("TENSOR_SHAPE", () => pad(tensor([1]), [[1, 1]], { mode: "reflect" }));
  throwsCode("TENSOR_SHAPE", () => pad(tensor([1]), [[-1, 0]]));
});

test("arange, linspace, eye, full", () => {
  assert.deepEqual(arange(5, 0, -2).toArray(), [5, 3, 1]);
  assert.deepEqual(arange(0, 3, 1, { dtype: "int64" }).toArray(), [0n, 1n, 2n]);
  assert.deepEqual(linspace(0, 1, 3).toArray(), [0, 0.5, 1]);
  assert.deepEqual(linspace(2, 9, 1).toArray(), [2]);
  assert.deepEqual(eye(2, { dtype: "bool" }).toArray(), [
    [true, false],
    [false, true],
  ]);
  assert.deepEqual(full("string", [2], "x").toArray(), ["x", "x"]);
  throwsCode("TENSOR_VALUE", () => arange(0, 1, 0));
  throwsCode("TENSOR_VALUE", () => arange(0, 1, 0.5, { dtype: "int32" }));
  throwsCode("TENSOR_VALUE", () => full("uint8", [2], 256));
});

test("normalize gives unit vectors, standardize the channels' own numbers", () => {
  assert.deepEqual(
    normalize(
      tensor([
        [3, 4],
        [0, 0],
      ]),
    ).toArray(),
    [
      [Math.fround(0.6), Math.fround(0.8)],
      [0, 0],
    ],
  );
  const image = ones("float32", [1, 2, 1, 1]);
  assert.deepEqual(standardize(image, { mean: [0, 1], std: [2, 1], axis: 1 }).toArray(), [[[[0.5]], [[0]]]]);
  assert.deepEqual(standardize(tensor([3, 5]), { mean: 1, std: 2 }).toArray(), [1, 2]);
  throwsCode("TENSOR_SHAPE", () => standardize(image, { mean: [0, 1, 2], std: 1, axis: 1 }), /axis 1/);
});
