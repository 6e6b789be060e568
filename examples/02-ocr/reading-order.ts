/** The order in which a person reads: rows from top to bottom, in each row from left to right, on a tilted page too. */
import type { Rectangle } from "./rectangle.js";

/** Anything that lies on the page. */
export interface Placed {
  readonly rectangle: Rectangle;
}

/** Items whose centres differ in height by less than half a line stand in one row. */
export function inRows<T extends Placed>(items: readonly T[]): T[][] {
  const tilt = medianAngle(items);
  const cos = Math.cos(tilt);
  const sin = Math.sin(tilt);
  const along = ({ rectangle: { center } }: T): number => center.x * cos + center.y * sin;
  const below = ({ rectangle: { center } }: T): number => center.y * cos - center.x * sin;

  const rows: T[][] = [];
  for (const item of [...items].sort((a, b) => below(a) - below(b))) {
    const row = rows.at(-1);
    const first = row?.[0];
    const sameRow =
      first !== undefined &&
      below(item) - below(first) < Math.min(item.rectangle.height, first.rectangle.height) / 2;
    if (sameRow) row?.push(item);
    else rows.push([item]);
  }
  return rows.map((row) => row.sort((a, b) => along(a) - along(b)));
}

/** The page's tilt in radians: the middle angle, each line counted by its length, for long lines are measured best. */
function medianAngle(items: readonly Placed[]): number {
  const sorted = items.map(({ rectangle }) => rectangle).sort((a, b) => a.angle - b.angle);
  const half = sorted.reduce((sum, { width }) => sum + width, 0) / 2;
  let passed = 0;
  return sorted.find(({ width }) => (passed += width) >= half)?.angle ?? 0;
}
