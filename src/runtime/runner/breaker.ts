/** Breaker: keeps a model that crashes without a culprit from being started again and again. */

const CRASHES = 3;
const WINDOW_MS = 60_000;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 600_000;

export interface BreakerOptions {
  /** Crashes within the window that open it. */
  readonly crashes: number;
  readonly windowMs: number;
  /** Milliseconds until the first new attempt; doubles up to twenty times as long. */
  readonly pauseMs: number;
}

export const BREAKER: BreakerOptions = { crashes: CRASHES, windowMs: WINDOW_MS, pauseMs: FIRST_PAUSE_MS };

export class Breaker {
  readonly #options: BreakerOptions;
  #times: number[] = [];
  #pauseMs: number;
  #halfOpen = false;
  #reopenedAt = Number.NEGATIVE_INFINITY;

  constructor(options: BreakerOptions = BREAKER) {
    this.#options = options;
    this.#pauseMs = options.pauseMs;
  }

  /** A crash that no request is to blame for; the pause in milliseconds when it opens the breaker. */
  crashed(now: number): number | undefined {
    this.#times = this.#times.filter((time) => now - time < this.#options.windowMs);
    this.#times.push(now);
    if (!this.#halfOpen && this.#times.length < this.#options.crashes) {
      if (now - this.#reopenedAt > this.#options.windowMs) this.#pauseMs = this.#options.pauseMs;
      return undefined;
    }
    const pause = this.#pauseMs;
    const longest = Math.max(
      this.#options.pauseMs,
      (LONGEST_PAUSE_MS / FIRST_PAUSE_MS) * this.#options.pauseMs,
    );
    this.#pauseMs = Math.min(2 * pause, longest);
    this.#halfOpen = true;
    return pause;
  }

  /** The model runs again: the next crash counts from one. */
  recovered(now: number): void {
    if (!this.#halfOpen) return;
    this.#halfOpen = false;
    this.#times = [];
    this.#reopenedAt = now;
  }
}
