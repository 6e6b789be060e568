/** Medians and percentiles of measured values. */

/** The value below which `part` (0 to 1) of the values lie, by nearest rank; NaN when there are none. */
export function percentile(values: ArrayLike<number>, part: number): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  const rank = Math.ceil(part * sorted.length) - 1;
  return sorted[Math.min(Math.max(rank, 0), sorted.length - 1)]!;
}

export function median(values: ArrayLike<number>): number {
  if (values.length === 0) return Number.NaN;
  const sorted = Float64Array.from(values).sort();
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Durations in milliseconds, kept up to a bound and then by uniform sampling, so that long runs stay small. */
export class Durations {
  readonly #kept: Float64Array;
  #seen = 0;
  #random = 0x2545f491;

  constructor(capacity = 200_000) {
    this.#kept = new Float64Array(capacity);
  }

  get count(): number {
    return this.#seen;
  }

  add(ms: number): void {
    const capacity = this.#kept.length;
    if (this.#seen < capacity) {
      this.#kept[this.#seen++] = ms;
      return;
    }
    this.#seen++;
    this.#random = (Math.imul(this.#random, 1664525) + 1013904223) >>> 0;
    const at = Math.floor((this.#random / 0x1_0000_0000) * this.#seen);
    if (at < capacity) this.#kept[at] = ms;
  }

  /** p50, p99 and the largest of what was kept, in milliseconds. */
  summary(): { p50Ms: number; p99Ms: number; maxMs: number } {
    const kept = this.#kept.subarray(0, Math.min(this.#seen, this.#kept.length));
    return { p50Ms: percentile(kept, 0.5), p99Ms: percentile(kept, 0.99), maxMs: percentile(kept, 1) };
  }
}
