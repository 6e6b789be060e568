/** Schedules: the rise at the start, shares of steps, and what is refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { constant, cosine, linear, oneCycle, sequence } from "./schedules.js";

test("the rate rises evenly, then the rest starts from its own beginning", () => {
  const schedule = cosine({ warmup: 0.1 });
  const rates = Array.from({ length: 100 }, (_, at) => schedule(at, 100));
  assert.deepEqual(rates.slice(0, 3), [0.1, 0.2, 0.3]);
  assert.equal(rates[9], 1);
  assert.equal(rates[10], 1);
  assert.ok(rates[99]! < 0.001 && rates[99]! > 0);
});

test("parts follow each other by counts and shares", () => {
  const schedule = sequence([
    { schedule: constant({ warmup: 2 }), steps: 0.5 },
    { schedule: linear({ start: 1, end: 0 }) },
  ]);
  assert.deepEqual(
    [0, 1, 2, 5, 6].map((at) => schedule(at, 10)),
    [0.5, 1, 1, 1, 0.8],
  );
});

test("one cycle begins at its top where the rise is one step long", () => {
  const schedule = oneCycle({ rise: 0.1 });
  const rates = Array.from({ length: 10 }, (_, at) => schedule(at, 10));
  assert.equal(rates[0], 1);
  assert.ok(rates.every((rate, at) => at === 0 || rate < rates[at - 1]!));
  assert.ok(Math.abs(rates[9]! - 1 / 25e4) < 1e-15);
  assert.equal(oneCycle({ rise: 1 })(9, 10), 1);
  assert.throws(() => oneCycle({ rise: 1.5 }), { code: "USAGE" });
});

test("negative warm-up is refused", () => {
  assert.throws(() => cosine({ warmup: -1 })(0, 10), { code: "USAGE" });
});
