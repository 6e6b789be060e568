/** Suggestions for misspelt names, by optimal string alignment distance (insert, delete, replace, swap). */

/** Edit distance between two strings; adjacent swaps count as one edit. */
export function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        cost = Math.min(cost, beforePrevious[j - 2]! + 1);
      }
      current.push(cost);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length]!;
}

/** The candidate closest to `name` (case does not count), if it is close enough to be a slip of the hand. */
export function closest(name: string, candidates: Iterable<string>): string | undefined {
  const wanted = name.slice(0, 128).toLowerCase();
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - wanted.length) >= bestDistance) continue;
    const distance = editDistance(wanted, candidate.toLowerCase());
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/** `"one of a, b, c"` with a did-you-mean first where one name is close; long lists are cut. */
export function suggest(name: string, candidates: readonly string[], limit = 12): string {
  const near = closest(name, candidates);
  const listed = candidates.slice(0, limit).join(", ") + (candidates.length > limit ? ", …" : "");
  return near === undefined ? `one of ${listed}` : `did you mean "${near}"? (one of ${listed})`;
}
