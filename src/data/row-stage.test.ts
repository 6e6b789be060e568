/** Rows made by way of a stage: every value in its place, for any width, start and end. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { hasSimd } from "../simd/index.js";
import { stagedRows } from "./row-stage.js";

test("columns become rows, and nothing around them is written", {
  skip: hasSimd() ? false : "WebAssembly has no SIMD here",
}, () => {
  for (const width of [4, 5, 7, 16, 19, 4, 130])
    for (const [from, to] of [
      [0, 64],
      [3, 1030],
      [1, 2048],
      [1024, 3000],
    ] as const) {
      const columns = Array.from({ length: width }, (_, j) =>
        Float32Array.from({ length: 3000 }, (_, i) => i * 256 + j),
      );
      const out = new Float32Array((to - from) * width + 10).fill(-1);
      assert.ok(stagedRows(columns, from, to, out, 5));
      assert.deepEqual([...out.subarray(0, 5), ...out.subarray(-5)], new Array(10).fill(-1));
      for (let i = from; i < to; i++)
        for (let j = 0; j < width; j++)
          assert.equal(out[5 + (i - from) * width + j], i * 256 + j, `row ${i}, column ${j} of ${width}`);
    }
});

test("few columns and few rows are left to others", () => {
  const columns = [new Float32Array(100), new Float32Array(100), new Float32Array(100)];
  assert.equal(stagedRows(columns, 0, 100, new Float32Array(300), 0), false);
  assert.equal(stagedRows([...columns, columns[0]!], 0, 10, new Float32Array(40), 0), false);
});
