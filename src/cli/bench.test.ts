/** The pieces of `tenon bench` that decide: which sizes are measured, and where the knee is. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { type BenchPoint, kneeOf, steps } from "./bench.js";

const point = (batch: number, rowsPerSecond: number): BenchPoint => ({
  lanes: 2,
  batch,
  rowsPerSecond,
  p50Ms: 1,
  p99Ms: 1,
  cpuMsPerRow: 1,
});

test("sizes are powers of two up to and with the last", () => {
  assert.deepEqual(steps(1), [1]);
  assert.deepEqual(steps(6), [1, 2, 4, 6]);
  assert.deepEqual(steps(8), [1, 2, 4, 8]);
});

test("the knee is the smallest batch near the best throughput", () => {
  assert.equal(kneeOf([point(1, 50), point(2, 90), point(4, 100), point(8, 101)]).batch, 2);
  assert.equal(kneeOf([point(1, 95), point(2, 100)]).batch, 1);
});
