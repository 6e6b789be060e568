/** Breaker: opens at the third crash in a minute, tries again later and later, closes when the model runs. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Breaker } from "./breaker.js";

const SECOND = 1000;

test("it opens at the third crash within a minute, not for crashes further apart", () => {
  const breaker = new Breaker();
  assert.equal(breaker.crashed(0), undefined);
  assert.equal(breaker.crashed(30 * SECOND), undefined);
  assert.equal(breaker.crashed(61 * SECOND), undefined);
  assert.equal(breaker.crashed(62 * SECOND), 30 * SECOND);
});

test("each failed attempt doubles the pause, up to ten minutes", () => {
  const breaker = new Breaker();
  breaker.crashed(0);
  breaker.crashed(1);
  const pauses = Array.from({ length: 7 }, (_, i) => breaker.crashed(2 + i));
  assert.deepEqual(
    pauses.map((pause) => pause! / SECOND),
    [30, 60, 120, 240, 480, 600, 600],
  );
});

test("a model that runs again has three crashes more, with a longer pause if they come soon", () => {
  const breaker = new Breaker();
  for (let i = 0; i < 3; i++) breaker.crashed(i);
  breaker.recovered(31 * SECOND);
  assert.equal(breaker.crashed(32 * SECOND), undefined);
  assert.equal(breaker.crashed(33 * SECOND), undefined);
  assert.equal(breaker.crashed(34 * SECOND), 60 * SECOND);
  breaker.recovered(100 * SECOND);
  assert.equal(breaker.crashed(500 * SECOND), undefined);
  assert.equal(breaker.crashed(501 * SECOND), undefined);
  assert.equal(breaker.crashed(502 * SECOND), 30 * SECOND);
});
