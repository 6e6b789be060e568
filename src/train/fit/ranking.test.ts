/** Metrics of rankings on orders whose numbers are known by hand. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { tensor } from "../../tensor/index.js";
import type { Metric } from "./metrics.js";
import { ndcg, recallAt, reciprocalRank } from "./ranking.js";

const scores = tensor(
  [
    [0.9, 0.8, 0.1, 0.4],
    [0.2, 0.2, 0.2, 0.1],
  ],
  { dtype: "float32" },
);

function of(metric: Metric, target: ReturnType<typeof tensor>): number {
  const sums = metric();
  sums.add(scores, target);
  return sums.value();
}

test("one relevant document each: places 3 and 2", () => {
  const target = tensor([3n, 1n], { dtype: "int64" });
  assert.equal(of(recallAt(2), target), 0.5);
  assert.equal(of(recallAt(3), target), 1);
  assert.equal(of(reciprocalRank(), target), (1 / 3 + 1 / 2) / 2);
  assert.equal(of(reciprocalRank(2), target), 1 / 4);
  assert.equal(of(ndcg(), target), (1 / Math.log2(4) + 1 / Math.log2(3)) / 2);
});

test("several of different worth; a query without any does not count", () => {
  const target = tensor(
    [
      [0, 2, 1, 0],
      [0, 0, 0, 0],
    ],
    { dtype: "float32" },
  );
  assert.equal(of(recallAt(2), target), 0.5);
  assert.equal(of(reciprocalRank(), target), 0.5);
  const own = 2 / Math.log2(3) + 1 / Math.log2(5);
  assert.ok(Math.abs(of(ndcg(), target) - own / (2 + 1 / Math.log2(3))) < 1e-12);
  assert.ok(Number.isNaN(recallAt(1)().value()));
});

test("what is no ranking is refused", () => {
  assert.throws(() => recallAt(0), { code: "USAGE" });
  assert.throws(() => of(ndcg(), tensor([1n], { dtype: "int64" })), { code: "TENSOR_SHAPE" });
});
