/** Tests of rotated rectangles: what is drawn at any place, size and angle is found again. */
import assert from "node:assert/strict";
import { suite, test } from "node:test";
import fc from "fast-check";
import {
  convexHull,
  corners,
  grow,
  type Point,
  quarterTurn,
  type Rectangle,
  smallestRectangle,
  toRectangle,
} from "./rectangle.js";

const coordinate = fc.integer({ min: -500, max: 500 });
const anyRectangle: fc.Arbitrary<Rectangle> = fc.record({
  center: fc.record({ x: coordinate, y: coordinate }),
  width: fc.integer({ min: 30, max: 900 }),
  height: fc.integer({ min: 2, max: 25 }),
  angle: fc.double({ min: -0.78, max: 0.78, noNaN: true }),
});
const somePoints = fc.array(fc.record({ x: coordinate, y: coordinate }), { minLength: 3, maxLength: 40 });

function assertClose(actual: number, expected: number, what: string): void {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${what}: ${actual} is not ${expected}`);
}

function onOneLine(points: readonly Point[]): boolean {
  return convexHull(points).length < 3;
}

suite("rotated rectangles", () => {
  test("the corners of a rectangle give the rectangle back", () => {
    fc.assert(
      fc.property(anyRectangle, (rectangle) => {
        const found = smallestRectangle(corners(rectangle));
        assertClose(found.center.x, rectangle.center.x, "x");
        assertClose(found.center.y, rectangle.center.y, "y");
        assertClose(found.width, rectangle.width, "width");
        assertClose(found.height, rectangle.height, "height");
        assertClose(found.angle, rectangle.angle, "angle");
      }),
    );
  });

  test("the smallest rectangle holds every point and no edge of the hull gives a smaller one", () => {
    fc.assert(
      fc.property(somePoints, (points) => {
        fc.pre(!onOneLine(points));
        const found = smallestRectangle(points);
        for (const point of points) {
          const own = toRectangle(found, point);
          assert.ok(Math.abs(own.x) <= found.width / 2 + 1e-6);
          assert.ok(Math.abs(own.y) <= found.height / 2 + 1e-6);
        }
        assert.ok(found.width * found.height <= leastAreaByTrial(points) * (1 + 1e-9));
      }),
    );
  });

  test("a hull drops inner points and points on its edges", () => {
    const square = [0, 1, 2].flatMap((x) => [0, 1, 2].map((y) => ({ x, y })));
    assert.deepEqual(convexHull(square), [
      { x: 0, y: 0 },
      { x: 2, y: 0 },
      { x: 2, y: 2 },
      { x: 0, y: 2 },
    ]);
  });

  test("points on one line are refused", () => {
    assert.throws(() => smallestRectangle([0, 1, 2].map((x) => ({ x, y: x }))), RangeError);
  });

  test("growth moves every side, a quarter turn keeps the area", () => {
    const rectangle = { center: { x: 5, y: 5 }, width: 10, height: 4, angle: 0.1 };
    assert.deepEqual(grow(rectangle, 3), { ...rectangle, width: 16, height: 10 });
    const rounded = (points: readonly Point[]): string[] =>
      points.map(({ x, y }) => `${x.toFixed(6)} ${y.toFixed(6)}`).sort();
    assert.deepEqual(rounded(corners(quarterTurn(rectangle))), rounded(corners(rectangle)));
  });
});

/** The least area over all edges of the hull, each measured against every point. */
function leastAreaByTrial(points: readonly Point[]): number {
  const hull = convexHull(points);
  const areas = hull.map((from, index) => {
    const to = hull[(index + 1) % hull.length]!;
    const axes = { center: from, width: 0, height: 0, angle: Math.atan2(to.y - from.y, to.x - from.x) };
    const own = hull.map((point) => toRectangle(axes, point));
    const range = (values: readonly number[]): number => Math.max(...values) - Math.min(...values);
    return range(own.map(({ x }) => x)) * range(own.map(({ y }) => y));
  });
  return Math.min(...areas);
}
