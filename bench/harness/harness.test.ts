/** The pieces of the bench harness: percentiles, the reading of answers, the counting of copies. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AnswerReader } from "./answer-reader.js";
import { countCopies } from "./copies.js";
import { Durations, median, percentile } from "./statistics.js";

test("percentiles are values by nearest rank", () => {
  assert.equal(percentile([3, 1, 2, 4], 0.5), 2);
  assert.equal(percentile([3, 1, 2, 4], 1), 4);
  assert.equal(percentile([3, 1, 2, 4], 0), 1);
  assert.equal(median([3, 1, 2, 4]), 2.5);
  assert.ok(Number.isNaN(median([])));
});

test("durations beyond the capacity are sampled, not lost in the count", () => {
  const durations = new Durations(100);
  for (let i = 0; i < 10_000; i++) durations.add(i);
  assert.equal(durations.count, 10_000);
  const { p50Ms } = durations.summary();
  assert.ok(p50Ms > 3000 && p50Ms < 7000, `p50 of 0…9999 by a sample of 100: ${p50Ms}`);
});

test("the reader finds every answer however the bytes are cut", () => {
  const answers = [200, 400, 200].map((status, i) => {
    const body = "x".repeat(7 * i);
    return `HTTP/1.1 ${status} Word\r\nx-name: 1\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  });
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 }), (cuts) => {
      const seen: number[] = [];
      const reader = new AnswerReader((status) => seen.push(status));
      for (const answer of answers) {
        const bytes = Buffer.from(answer);
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const size = cuts[i % cuts.length]!;
          reader.take(bytes.subarray(at, at + size));
          at += size;
        }
      }
      assert.deepEqual(seen, [200, 400, 200]);
    }),
  );
});

test("copies of blocks are counted, views are not", async () => {
  const from = new Float32Array(10);
  const bytes = await countCopies(async () => {
    new Float32Array(10).set(from);
    from.slice(0, 5);
    from.subarray(0, 5);
    Buffer.alloc(8).copy(Buffer.alloc(3));
  });
  assert.equal(bytes, 40 + 20 + 3);
  assert.equal(await countCopies(async () => {}), 0);
});
