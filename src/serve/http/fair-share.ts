/** FairShare: the order between callers of one model (start-time fair queueing), so that who floods waits for itself. */

interface Share {
  /** Tag that the caller's next request gets at the earliest. */
  next: number;
  open: number;
}

/** Weight of the newest of the measured service times. */
const NEWEST = 0.1;

/**
 * The callers of one model. Requests are served in the order of their tags; a caller's tags are one service time
 * apart, and a caller that comes anew starts at the tag that is served now. `C` is any object that stands for a caller.
 */
export class FairShare<C extends object> {
  readonly #shares = new Map<C, Share>();
  /** Milliseconds between two answers while requests wait: the distance of tags. */
  #serviceMs = 1;
  /** The highest tag that was answered. */
  #served = 0;
  #open = 0;
  #answeredAt = 0;

  /** Takes a request on: its tag, the time as which it is queued. A caller's requests keep their order. */
  enter(caller: C, now: number): number {
    if (this.#open === 0) this.#served = now;
    let share = this.#shares.get(caller);
    if (share === undefined) {
      share = { next: this.#served, open: 0 };
      this.#shares.set(caller, share);
    }
    const tag = Math.max(this.#served, share.next);
    share.next = tag + this.#serviceMs;
    share.open++;
    this.#open++;
    return tag;
  }

  /** The request with this tag has its answer, or was given up. */
  leave(caller: C, tag: number, now: number): void {
    this.#served = Math.max(this.#served, tag);
    // Others were waiting since the last answer, so the time since then is what one request takes.
    if (this.#answeredAt > 0) this.#serviceMs += NEWEST * (now - this.#answeredAt - this.#serviceMs);
    this.#open--;
    this.#answeredAt = this.#open > 0 ? now : 0;
    const share = this.#shares.get(caller);
    if (share !== undefined && --share.open === 0) this.#shares.delete(caller);
  }
}
