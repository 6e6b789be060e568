/** ArenaWatch: notices that a session's memory arena has grown in a burst, and when to have it give that back. */

/** Memory above that of a session without runs from which a run counts as a burst. */
const BURST_BYTES = 64 << 20;
/** A burst's memory is given back by the first run after this much idleness. */
const IDLE_BEFORE_SHRINK_MS = 5000;
const REMEMBERED_SIZES = 256;

/** The arena grows only with sizes of runs that it has not seen: only after those it is looked at. */
export class ArenaWatch {
  readonly #session: { arenaBytes(): number };
  readonly #seen = new Set<string>();
  readonly #idleBytes: number;
  #burst = false;
  #lastRunAt = 0;

  constructor(session: { arenaBytes(): number }) {
    this.#session = session;
    this.#idleBytes = session.arenaBytes();
  }

  /** Whether a run that starts now should give unused memory back. */
  shrinkDue(now: number): boolean {
    return this.#burst && now - this.#lastRunAt > IDLE_BEFORE_SHRINK_MS;
  }

  /** A run of the size of one before has ended. */
  again(now: number): void {
    this.#lastRunAt = now;
  }

  /** A run of this size has ended, with or without giving memory back. */
  ran(size: string, now: number, shrunk: boolean): void {
    this.#lastRunAt = now;
    if (shrunk) this.#burst = false;
    if (shrunk || this.#seen.size >= REMEMBERED_SIZES) this.#seen.clear();
    if (this.#seen.has(size)) return;
    this.#seen.add(size);
    if (this.#session.arenaBytes() > this.#idleBytes + BURST_BYTES) this.#burst = true;
  }
}
