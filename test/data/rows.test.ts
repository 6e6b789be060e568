/** Datasets over tables that the program makes. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { isTenonError } from "tenon/base";
import { col, pack, rows, strings } from "tenon/data";
import type { DType } from "tenon/tensor";

describe("rows", () => {
  const table = (from: number, count: number) => ({
    a: Float32Array.from({ length: count }, (_, i) => from + i),
    t: Array.from({ length: count }, (_, i) => `t${from + i}`),
  });

  it("gives tables in batches of its own size, and goes on from a position", async () => {
    const dataset = rows([table(0, 5), table(5, 3), table(8, 4)])
      .tensors({ x: pack(["a"]), t: strings("t") })
      .batch(4);
    const seen: number[] = [];
    const texts: string[] = [];
    const nexts = [];
    for await (const { data, next } of dataset) {
      seen.push(...(data.x.data as Float32Array));
      texts.push(...data.t.data);
      nexts.push(next);
    }
    assert.deepEqual(
      seen,
      Array.from({ length: 12 }, (_, i) => i),
    );
    assert.deepEqual(texts.slice(3, 6), ["t3", "t4", "t5"]);
    const rest: number[] = [];
    for await (const { data } of dataset.iterate({ from: nexts[0]! }))
      rest.push(...(data.x.data as Float32Array));
    assert.deepEqual(rest, seen.slice(4));
  });

  it("takes an async iterable, closes it early, and refuses a shuffle and another type", async () => {
    let closed = false;
    async function* made() {
      try {
        for (let i = 0; ; i += 2) yield table(i, 2);
      } finally {
        closed = true;
      }
    }
    for await (const { rows: count } of rows(made()).batch(3)) {
      assert.equal(count, 3);
      break;
    }
    assert.ok(closed);
    await assert.rejects(
      () =>
        rows([table(0, 2)])
          .shuffle({ seed: 1 })
          .iterate()
          .next(),
      /in its order/,
    );
    const other = { a: Int32Array.of(1), t: ["x"] };
    await assert.rejects(async () => {
      for await (const _ of rows([table(0, 2), other])) assert.ok(_);
    }, /differ in column "a"/);
  });

  it("fills a padded batch with zeros and empty texts", async () => {
    const dataset = rows([table(1, 5)])
      .tensors({ x: pack(["a"]), t: strings("t") })
      .batch(4, { last: "pad" });
    for await (const { data, rows: count, release } of dataset) {
      if (count === 1) {
        assert.deepEqual([...data.x.data], [5, 0, 0, 0]);
        assert.deepEqual([...data.t.data], ["t5", "", "", ""]);
      } else release();
    }
  });

  it("refuses values that the dtype cannot hold, and takes those that it can", async () => {
    const first = async (values: Float64Array | BigInt64Array, dtype: Exclude<DType, "string">) => {
      for await (const { data } of rows([{ v: values }]).tensors({ x: col("v", dtype) })) return data.x.at(0);
    };
    const fits: readonly [number | bigint, Exclude<DType, "string">, unknown][] = [
      [3.4e38, "float32", Math.fround(3.4e38)],
      [Number.POSITIVE_INFINITY, "float32", Number.POSITIVE_INFINITY],
      [65504, "float16", 65504],
      [2 ** 60, "int64", 2n ** 60n],
      [255, "uint8", 255],
      [1, "bool", true],
      [-5n, "float32", -5],
      [-(2n ** 63n), "float64", -(2 ** 63)],
    ];
    const array = (value: number | bigint) =>
      typeof value === "bigint" ? BigInt64Array.of(value) : Float64Array.of(value);
    for (const [value, dtype, wanted] of fits) assert.equal(await first(array(value), dtype), wanted, dtype);
    const refused: readonly [number, Exclude<DType, "string">][] = [
      [1e300, "float32"],
      [65520, "float16"],
      [3.5e38, "bfloat16"],
      [2 ** 63, "int64"],
      [0.5, "int32"],
      [Number.NaN, "int8"],
      [256, "uint8"],
      [2, "bool"],
    ];
    for (const [value, dtype] of refused)
      await assert.rejects(
        () => first(array(value), dtype),
        (error) => isTenonError(error, "TENSOR_VALUE"),
        `${value} ${dtype}`,
      );
  });
});
