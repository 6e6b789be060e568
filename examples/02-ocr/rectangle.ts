/** Rotated rectangles: convex hull (Andrew's monotone chain), smallest enclosing rectangle (rotating calipers), growth. */

/** In pixels, y down. */
export interface Point {
  readonly x: number;
  readonly y: number;
}

/** `width` runs along `angle` (radians, clockwise on the screen), `height` at a right angle to it. */
export interface Rectangle {
  readonly center: Point;
  readonly width: number;
  readonly height: number;
  readonly angle: number;
}

/** The corners of the convex hull in one turning direction, without points on its edges. */
export function convexHull(points: readonly Point[]): Point[] {
  const sorted = [...points].sort((a, b) => a.x - b.x || a.y - b.y);
  const half = (ordered: readonly Point[]): Point[] => {
    const chain: Point[] = [];
    for (const point of ordered) {
      while (chain.length > 1 && turn(chain.at(-2)!, chain.at(-1)!, point) <= 0) chain.pop();
      chain.push(point);
    }
    return chain.slice(0, -1);
  };
  return [...half(sorted), ...half(sorted.reverse())];
}

/** Twice the signed area of a triangle: above 0 when `c` lies on the positive side of the line from `a` to `b`. */
function turn(a: Point, b: Point, c: Point): number {
  return (b.x - a.x) * (c.y - a.y) - (b.y - a.y) * (c.x - a.x);
}

/**
 * The enclosing rectangle of least area, its angle within 45° of level. One of its sides lies on an edge of the hull
 * (Freeman and Shapira 1975), so the calipers turn from edge to edge; each jaw only ever moves forward. Throws
 * RangeError when all points lie on one line.
 */
export function smallestRectangle(points: readonly Point[]): Rectangle {
  const hull = convexHull(points);
  if (hull.length < 3) throw new RangeError("points on one line have no smallest rectangle");
  const at = (index: number): Point => hull[index % hull.length]!;
  let best: Rectangle = { center: at(0), width: Infinity, height: Infinity, angle: 0 };
  let right = 0;
  let far = 0;
  let left = 0;
  for (let edge = 0; edge < hull.length; edge++) {
    const from = at(edge);
    const to = at(edge + 1);
    const length = Math.hypot(to.x - from.x, to.y - from.y);
    const cos = (to.x - from.x) / length;
    const sin = (to.y - from.y) / length;
    const along = (index: number): number => (at(index).x - from.x) * cos + (at(index).y - from.y) * sin;
    const across = (index: number): number => (at(index).y - from.y) * cos - (at(index).x - from.x) * sin;
    right = Math.max(right, edge + 1);
    while (along(right + 1) > along(right)) right++;
    far = Math.max(far, right);
    while (across(far + 1) > across(far)) far++;
    left = Math.max(left, far);
    while (along(left + 1) < along(left)) left++;
    const width = along(right) - along(left);
    const height = across(far);
    if (width * height >= best.width * best.height) continue;
    const middle = (along(right) + along(left)) / 2;
    best = {
      center: {
        x: from.x + middle * cos - (height / 2) * sin,
        y: from.y + middle * sin + (height / 2) * cos,
      },
      width,
      height,
      angle: Math.atan2(sin, cos),
    };
  }
  return level(best);
}

/** The same rectangle with its angle within 45° of level, width and height swapped where needed. */
function level({ center, width, height, angle }: Rectangle): Rectangle {
  const quarters = Math.round(angle / (Math.PI / 2));
  const levelled = angle - quarters * (Math.PI / 2);
  return quarters % 2 === 0
    ? { center, width, height, angle: levelled }
    : { center, width: height, height: width, angle: levelled };
}

/** The same area seen with its height as its width: a column of text that runs downwards becomes a line. */
export function quarterTurn(rectangle: Rectangle): Rectangle {
  const { center, width, height, angle } = rectangle;
  return { center, width: height, height: width, angle: angle + Math.PI / 2 };
}

/** Every side moved outwards by `distance` pixels. */
export function grow(rectangle: Rectangle, distance: number): Rectangle {
  const { width, height } = rectangle;
  return { ...rectangle, width: width + 2 * distance, height: height + 2 * distance };
}

/** Where a point lies in the rectangle's own axes, measured from its center. */
export function toRectangle(rectangle: Rectangle, point: Point): Point {
  const dx = point.x - rectangle.center.x;
  const dy = point.y - rectangle.center.y;
  const cos = Math.cos(rectangle.angle);
  const sin = Math.sin(rectangle.angle);
  return { x: dx * cos + dy * sin, y: dy * cos - dx * sin };
}

/** The corners, clockwise on the screen from the upper left one. */
export function corners(rectangle: Rectangle): [Point, Point, Point, Point] {
  const cos = Math.cos(rectangle.angle) / 2;
  const sin = Math.sin(rectangle.angle) / 2;
  const { center, width, height } = rectangle;
  const corner = (w: number, h: number): Point => ({
    x: center.x + w * width * cos - h * height * sin,
    y: center.y + w * width * sin + h * height * cos,
  });
  return [corner(-1, -1), corner(1, -1), corner(1, 1), corner(-1, 1)];
}
