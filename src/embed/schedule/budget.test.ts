/** The token budget: sizes are tried in turn, the fastest is kept, a smaller one that is as fast is preferred. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TokenBudget } from "./budget.js";

/** Runs full batches that take `msOf(size)` a token until the budget is settled; gives the sizes that were tried. */
function settle(budget: TokenBudget, msOf: (size: number) => number): number[] {
  const tried: number[] = [];
  while (!budget.settled && tried.length < 100) {
    const size = budget.tokens;
    tried.push(size);
    budget.learn(size, size, size * msOf(size));
  }
  return tried;
}

test("every size is tried, and the fastest is kept", () => {
  const budget = new TokenBudget(undefined);
  assert.equal(budget.tokens, 256);
  const tried = settle(budget, (size) => (size === 512 ? 1 : 2));
  assert.equal(tried.length, 21);
  assert.deepEqual([...new Set(tried)].sort(), [128, 256, 512]);
  assert.equal(budget.tokens, 512);
});

test("of sizes that are about as fast the smallest is kept", () => {
  const budget = new TokenBudget(undefined);
  settle(budget, (size) => (size === 128 ? 1.02 : 1));
  assert.equal(budget.tokens, 128);
});

test("batches that are not full and single texts that are longer tell nothing", () => {
  const budget = new TokenBudget(undefined);
  for (let i = 0; i < 100; i++) {
    budget.learn(budget.tokens, 40, 1);
    budget.learn(budget.tokens, 600, 1);
  }
  assert.equal(budget.settled, false);
});

test("a number is kept, and one that is no count refused", () => {
  const budget = new TokenBudget(64);
  budget.learn(64, 64, 1);
  assert.deepEqual([budget.tokens, budget.settled], [64, true]);
  for (const wrong of [0, -1, 1.5, Number.NaN])
    assert.throws(() => new TokenBudget(wrong), { code: "CONFIG_INVALID" });
});
