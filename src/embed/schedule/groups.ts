/** Rows that are held together while they are taken apart: as many as a number of bytes allows. */

/** Bytes of float32 that are held at once, unless one row alone has more. */
const HELD = 64 * 2 ** 20;

/**
 * Rows from `from` on that are held together, as the index behind the last of them: each takes `numbersOf` the longest
 * length among them.
 */
export function groupEnd(
  lengths: ArrayLike<number>,
  from: number,
  numbersOf: (length: number) => number,
  bytes = HELD,
): number {
  let longest = 0;
  let to = from;
  while (to < lengths.length) {
    longest = Math.max(longest, lengths[to]!);
    if (to > from && 4 * (to + 1 - from) * numbersOf(longest) > bytes) break;
    to++;
  }
  return to;
}
