/** TokenBucket: the burst, the refill and the wait that it tells. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TokenBucket } from "./token-bucket.js";

test("a burst of one second's worth, then one token at a time", () => {
  const bucket = new TokenBucket(2, 0);
  assert.deepEqual([bucket.take(0), bucket.take(0), bucket.take(0)], [0, 0, 500]);
  assert.deepEqual([bucket.take(499) > 0, bucket.take(500), bucket.take(500)], [true, 0, 500]);
  assert.deepEqual([bucket.take(10_000), bucket.take(10_000), bucket.take(10_000)], [0, 0, 500]);
});

test("below one a second the first is granted and the next waits its time", () => {
  const bucket = new TokenBucket(0.5, 0);
  assert.deepEqual([bucket.take(0), bucket.take(0), bucket.take(2000)], [0, 2000, 0]);
});

test("over any stretch no more is granted than the rate and one burst", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.array(fc.nat(100), { minLength: 1 }), (rate, gaps) => {
      const bucket = new TokenBucket(rate, 0);
      let now = 0;
      let granted = 0;
      for (const gap of gaps) {
        now += gap;
        if (bucket.take(now) === 0) granted++;
      }
      assert.ok(granted <= rate + (now / 1000) * rate + 1e-9);
    }),
  );
});
