/** Groups of rows: within their bytes, never empty, and none left out. */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { groupEnd } from "./groups.js";

test("groups hold as many rows as their bytes allow, one at least, and follow each other", () => {
  const lengths = fc.array(fc.integer({ min: 0, max: 40 }), { maxLength: 60 });
  fc.assert(
    fc.property(lengths, fc.integer({ min: 1, max: 400 }), (rows, bytes) => {
      const numbersOf = (length: number): number => 1 + length;
      const taken = (from: number, to: number): number =>
        4 * (to - from) * numbersOf(Math.max(...rows.slice(from, to)));
      for (let from = 0; from < rows.length; ) {
        const to = groupEnd(rows, from, numbersOf, bytes);
        assert.ok(to > from && to <= rows.length);
        assert.ok(to === from + 1 || taken(from, to) <= bytes);
        assert.ok(to === rows.length || taken(from, to + 1) > bytes);
        from = to;
      }
    }),
  );
});
