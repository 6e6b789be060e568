/** TokenBucket: a rate that may be exceeded for a moment. */

/** Grants `rate` requests a second on average, and as many at once after a pause (at least one). */
export class TokenBucket {
  readonly rate: number;
  readonly #capacity: number;
  #tokens: number;
  #filledAt: number;

  /** `now` in milliseconds, as in every call after it. */
  constructor(rate: number, now: number) {
    this.rate = rate;
    this.#capacity = Math.max(1, rate);
    this.#tokens = this.#capacity;
    this.#filledAt = now;
  }

  /** 0 when the request is granted, else the milliseconds until one would be. */
  take(now: number): number {
    this.#tokens = Math.min(this.#capacity, this.#tokens + ((now - this.#filledAt) / 1000) * this.rate);
    this.#filledAt = now;
    if (this.#tokens < 1) return ((1 - this.#tokens) / this.rate) * 1000;
    this.#tokens -= 1;
    return 0;
  }
}
