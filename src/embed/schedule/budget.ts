/** TokenBudget: how many tokens a batch holds; sizes are tried while texts run, and the fastest of this machine is kept. */
import { TenonError } from "../../base/index.js";

/** From 64 tokens on most processors are busy; beyond 512 none was seen to gain, and batches leave its caches. */
const SIZES = [256, 128, 512] as const;
/** Batches of each size that are timed. The first of all sizes is left out: it allocates. */
const TRIES = 6;
/** A smaller size that is so near to the fastest one is better: less memory, and shorter waits for queries. */
const NEAR = 1.03;
/** Batches that are less full tell of another size. */
const FULL = 0.75;

export class TokenBudget {
  readonly #timed = new Map<number, number[]>(SIZES.map((size) => [size, []]));
  #chosen: number | undefined;

  /** With a number it is that. Throws CONFIG_INVALID. */
  constructor(fixed: number | undefined) {
    if (fixed !== undefined && (!Number.isInteger(fixed) || fixed < 1))
      throw new TenonError("CONFIG_INVALID", {
        problem: "budget",
        given: String(fixed),
        expected: "1 or more",
      });
    this.#chosen = fixed;
  }

  /** Whether nothing is tried any more. */
  get settled(): boolean {
    return this.#chosen !== undefined;
  }

  /** Most tokens of the next batch. */
  get tokens(): number {
    if (this.#chosen !== undefined) return this.#chosen;
    let next: number = SIZES[0];
    for (const size of SIZES) if (this.#timed.get(size)!.length < this.#timed.get(next)!.length) next = size;
    return next;
  }

  /** A batch that was formed with `budget` had `padded` tokens and took `ms`. */
  learn(budget: number, padded: number, ms: number): void {
    const times = this.#timed.get(budget);
    if (this.#chosen !== undefined || times === undefined || padded < FULL * budget || padded > budget)
      return;
    times.push(ms / padded);
    if ([...this.#timed.values()].some(({ length }) => length <= TRIES)) return;
    const medians = SIZES.map((size) => {
      const sorted = this.#timed
        .get(size)!
        .slice(1)
        .sort((a, b) => a - b);
      return { size, ms: sorted[sorted.length >> 1]! };
    });
    const least = Math.min(...medians.map(({ ms: each }) => each));
    this.#chosen = Math.min(
      ...medians.filter(({ ms: each }) => each <= NEAR * least).map(({ size }) => size),
    );
  }
}
