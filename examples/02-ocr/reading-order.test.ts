/** Tests of the reading order on tilted pages. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import { inRows } from "./reading-order.js";

suite("reading order", () => {
  test("a table comes back row by row at any small tilt and in any order of finding", () => {
    const cells = [0, 1, 2, 3].flatMap((row) => [0, 1, 2].map((column) => ({ row, column })));
    const tilt = fc.double({ min: -0.1, max: 0.1, noNaN: true });
    const found = fc.shuffledSubarray(cells, { minLength: cells.length });
    fc.assert(
      fc.property(tilt, found, (angle, order) => {
        const placed = order.map(({ row, column }) => {
          const x = 300 * column;
          const y = 45 * row;
          const [cos, sin] = [Math.cos(angle), Math.sin(angle)];
          const center = { x: x * cos - y * sin, y: x * sin + y * cos };
          return { row, column, rectangle: { center, width: 100, height: 30, angle } };
        });
        const rows = inRows(placed).map((items) => items.map(({ row, column }) => ({ row, column })));
        assert.deepEqual(rows, [cells.slice(0, 3), cells.slice(3, 6), cells.slice(6, 9), cells.slice(9)]);
      }),
    );
  });

  test("an empty page has no rows", () => {
    assert.deepEqual(inRows([]), []);
  });
});
