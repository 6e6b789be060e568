/** tensor(): values of every dtype, typed arrays, shapes and what it refuses. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type ErrorCode, isTenonError } from "../base/index.js";
import { DTYPES, type DType, dtypeInfo } from "./dtype.js";
import type { Element } from "./element.js";
import { float16View } from "./float16.js";
import { type TensorValues, tensor, tensorFromBytes, zeros } from "./make.js";

test("nested numbers are float32, bigints int64, booleans bool, strings string", () => {
  const floats = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  assert.equal(floats.toString(), "Tensor float32 [2, 3]");
  assert.deepEqual([...floats.data], [1, 2, 3, 4, 5, 6]);
  assert.equal(tensor([1n]).dtype, "int64");
  assert.equal(tensor([[true], [false]]).toString(), "Tensor bool [2, 1]");
  assert.deepEqual(tensor(["a", "b"]).toArray(), ["a", "b"]);
  assert.deepEqual(tensor(5).shape, []);
  assert.equal(tensor(5).at(), 5);
  assert.deepEqual(tensor([]).shape, [0]);
  assert.deepEqual(tensor([[], []]).shape, [2, 0]);
});

test("a typed array becomes the storage, without a copy", () => {
  const pixels = new Uint8Array(12);
  const image = tensor(pixels, { shape: [1, 2, 2, 3] });
  assert.equal(image.data.buffer, pixels.buffer);
  assert.equal(image.dtype, "uint8");
  pixels[5] = 7;
  assert.equal(image.at(0, 0, 1, 2), 7);
  assert.deepEqual(tensor(pixels, { shape: [-1, 3] }).shape, [4, 3]);
  const half = tensor(Uint16Array.of(0x3c00, 0xc000), { dtype: "float16" });
  assert.deepEqual(half.toArray(), [1, -2]);
  assert.deepEqual(tensor(Uint8Array.of(0x21, 0x03), { dtype: "uint4" }).toArray(), [1, 2, 3, 0]);
  assert.deepEqual(tensor(Uint8Array.of(0x21, 0x03), { dtype: "uint4", shape: [3] }).toArray(), [1, 2, 3]);
  assert.deepEqual(tensor(Float32Array.of(1, 2), { dtype: "complex64" }).toArray(), [[1, 2]]);
  assert.equal(tensor(new Uint8ClampedArray(3)).dtype, "uint8");
  const file = Buffer.from([1, 2, 3, 4]);
  const bytes = tensor(file.subarray(1));
  assert.equal(bytes.data.constructor, Uint8Array);
  assert.equal(bytes.data.buffer, file.buffer);
  assert.deepEqual(bytes.slice([null, null, -1]).clone().toArray(), [4, 3, 2]);
});

test("another dtype than the typed array's converts, with checks; typed arrays may be rows", () => {
  assert.deepEqual(tensor(Int32Array.of(1, -2), { dtype: "int64" }).toArray(), [1n, -2n]);
  assert.deepEqual(tensor(Float64Array.of(0.5), { dtype: "bfloat16" }).toArray(), [0.5]);
  assert.deepEqual(tensor([Float32Array.of(1, 2), Float32Array.of(3, 4)]).toArray(), [
    [1, 2],
    [3, 4],
  ]);
  assert.throws(
    () => tensor(Int32Array.of(1, 300), { dtype: "uint8" }),
    (e) => isTenonError(e, "TENSOR_VALUE") && /300 at \[1\]/.test(e.message),
  );
});

test("Float16Array is float16 where the platform has it", { skip: !("Float16Array" in globalThis) }, () => {
  const make = Reflect.get(globalThis, "Float16Array") as { of(...values: number[]): Uint16Array };
  assert.deepEqual(tensor(make.of(1.5, -2), {}).toArray(), [1.5, -2]);
});

test("float16View shares the bytes where the platform has Float16Array, and says so where it has not", () => {
  const half = tensor([1.5, -2], { dtype: "float16" });
  throwsCode(() => float16View(tensor([1])), "TENSOR_DTYPE", /float16/);
  if ("Float16Array" in globalThis) {
    float16View(half)[0] = 3;
    assert.deepEqual(half.toArray(), [3, -2]);
  } else throwsCode(() => float16View(half), "TENSOR_DTYPE", /cast/);
});

function throwsCode(body: () => unknown, code: ErrorCode, text: RegExp): void {
  assert.throws(body, (error) => isTenonError(error, code) && text.test(error.message));
}

const SAMPLES: { readonly [D in DType]: readonly Element[] } = {
  float64: [0.1, -1e300, Number.POSITIVE_INFINITY, Number.NaN],
  float32: [0.5, -(2 ** 127), Number.NEGATIVE_INFINITY, Number.NaN],
  float16: [65504, 6e-8, -0, Number.NaN],
  bfloat16: [1, -(2 ** 127), Number.POSITIVE_INFINITY],
  float8e4m3fn: [448, -0.001953125, Number.NaN],
  float8e4m3fnuz: [240, -1, Number.NaN],
  float8e5m2: [57344, Number.NEGATIVE_INFINITY, 2 ** -16],
  float8e5m2fnuz: [57344, -1, Number.NaN],
  float8e8m0: [1, 2 ** 127, 2 ** -127, Number.NaN],
  float6e2m3: [7.5, -0.125, 0, 1, 2],
  float6e3m2: [28, -0.0625, 3, 1, 0],
  float4e2m1: [6, -0.5, 3],
  int64: [2n ** 63n - 1n, -(2n ** 63n)],
  int32: [-(2 ** 31), 2 ** 31 - 1],
  int16: [-32768, 32767],
  int8: [-128, 127],
  int4: [-8, 7, -1],
  int2: [-2, 1, 0, -1, 1],
  uint64: [0n, 2n ** 64n - 1n],
  uint32: [0, 2 ** 32 - 1],
  uint16: [65535],
  uint8: [255],
  uint4: [15, 0, 9],
  uint2: [3, 0, 2, 1, 3],
  bool: [true, false],
  string: ["", "héllo"],
  complex64: [
    [1, -2],
    [0.5, 0],
  ],
  complex128: [[1e300, -1]],
};

const REFUSED: { readonly [D in DType]: readonly unknown[] } = {
  float64: [1n, true, "1"],
  float32: [1e39, -3.5e38],
  float16: [65520, -1e9],
  bfloat16: [3.4e38],
  float8e4m3fn: [449, Number.POSITIVE_INFINITY],
  float8e4m3fnuz: [241],
  float8e5m2: [60000],
  float8e5m2fnuz: [Number.POSITIVE_INFINITY],
  float8e8m0: [0, -1],
  float6e2m3: [8, Number.NaN],
  float6e3m2: [29],
  float4e2m1: [6.5, Number.NaN],
  int64: [2n ** 63n, 0.5, 2 ** 60],
  int32: [2 ** 31, 1.5, Number.NaN],
  int16: [32768],
  int8: [128, -129],
  int4: [8, -9],
  int2: [2],
  uint64: [-1n, 2n ** 64n],
  uint32: [-1],
  uint16: [65536],
  uint8: [256, -1, true],
  uint4: [16],
  uint2: [4],
  bool: [1, 0, "true"],
  string: [1, null],
  complex64: [
    [1e39, 0],
    ["a", 1],
  ],
  complex128: [[1, 1n]],
};

for (const dtype of Object.keys(DTYPES) as DType[]) {
  test(`${dtype}: values come back; what it cannot hold is refused with its position`, () => {
    const samples = SAMPLES[dtype] as TensorValues;
    const made = tensor(samples, { dtype });
    assert.equal(made.dtype, dtype);
    made.toArray();
    (SAMPLES[dtype] as readonly Element[]).forEach((value, i) => {
      const back = made.at(i);
      if (typeof value === "number" && !Number.isInteger(value)) {
        assert.ok(
          Object.is(back, value) || Math.abs(Number(back) - value) <= Math.abs(value) * 0.07,
          `${value} → ${back}`,
        );
      } else assert.deepEqual(back, value);
    });
    for (const value of REFUSED[dtype]) {
      const good = (SAMPLES[dtype] as readonly Element[])[0];
      assert.throws(
        () => tensor([good, value] as TensorValues, { dtype }),
        (e) => isTenonError(e, "TENSOR_VALUE") && e.message.includes("at [1]") && e.expected !== undefined,
        `${dtype} took ${String(value)}`,
      );
    }
  });

  test(`${dtype}: clone of a reversed view`, () => {
    const made = tensor(SAMPLES[dtype] as TensorValues, { dtype });
    const expected = [...(made.toArray() as Element[])].reverse();
    assert.deepEqual(made.slice([null, null, -1]).clone().toArray(), expected);
    if (dtypeInfo(dtype).kind !== "string") {
      const bytes = made.slice([null, null, -1]).contiguous().bytes;
      assert.deepEqual(tensorFromBytes(dtype as "float32", [expected.length], bytes).toArray(), expected);
    }
  });
}

test("ragged arrays and misfitting shapes are refused where they are", () => {
  const ragged = (values: unknown, at: RegExp): void =>
    assert.throws(
      () => tensor(values as TensorValues),
      (e) => isTenonError(e, "TENSOR_SHAPE") && at.test(e.message),
    );
  ragged([[1, 2], [3]], /length 1 at \[1\]/);
  ragged([[1, 2], 3], /3 at \[1\]/);
  ragged([1, [2]], /array of length 1 at \[1\]/);
  assert.throws(
    () => tensor([1, 2, 3], { shape: [2, 2] }),
    (e) => isTenonError(e, "TENSOR_SHAPE"),
  );
  assert.throws(() => tensor([1, 2n] as unknown as number[]), /2n at \[1\]/);
  assert.throws(
    () => tensor([{}] as unknown as number[]),
    (e) => isTenonError(e, "TENSOR_VALUE"),
  );
  assert.throws(
    () => tensor([null] as unknown as number[]),
    (e) => isTenonError(e, "TENSOR_VALUE"),
  );
});

test("zeros of every dtype read as zero", () => {
  for (const dtype of Object.keys(DTYPES) as DType[]) assert.deepEqual(zeros(dtype, [2, 3]).shape, [2, 3]);
  assert.deepEqual(zeros("float32", [2]).toArray(), [0, 0]);
  assert.deepEqual(zeros("string", [1]).toArray(), [""]);
});
