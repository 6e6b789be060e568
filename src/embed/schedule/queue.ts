/** EmbedQueue: texts of many callers as batches of like length, short calls ahead of long ones, a bounded number under way. */

/** A text on its way: its tokens are counted already. */
export interface Item {
  /** Tokens, special ones included; at least 1. */
  readonly length: number;
  readonly job: Job;
}

/** What a caller waits for. */
export interface Job {
  /** Set once the caller waits no more; its items are passed over. */
  over: boolean;
  /** Called once when a run of one of its items fails. */
  fail(error: unknown): void;
}

export interface QueueOptions {
  /** Most tokens of a batch, padding included, as it is now; a longer text is a batch of its own. */
  readonly budget: () => number;
  /** Batches under way at once. */
  readonly lanes: number;
}

/** Batches of short calls in a row, after which a long one gets its turn. */
const TURNS = 8;

/**
 * Two ways in: `soon` for calls somebody waits for, `bulk` for windows of long ones. Batches of the first go before those of
 * the second, which wait no longer than eight batches. A batch holds texts whose lengths are like each other.
 */
export class EmbedQueue<T extends Item> {
  readonly #options: QueueOptions;
  readonly #run: (items: readonly T[], bulk: boolean) => Promise<void>;
  readonly #soon: T[] = [];
  /** Windows, each with its longest text at the end. */
  readonly #windows: T[][] = [];
  #running = 0;
  #turns = 0;
  #isPumping = false;
  #idle: (() => void)[] = [];

  constructor(options: QueueOptions, run: (items: readonly T[], bulk: boolean) => Promise<void>) {
    this.#options = options;
    this.#run = run;
  }

  get running(): number {
    return this.#running;
  }

  get waiting(): number {
    return this.#windows.reduce((sum, window) => sum + window.length, this.#soon.length);
  }

  soon(items: readonly T[]): void {
    for (const item of items) this.#soon.push(item);
    this.#schedule();
  }

  bulk(items: readonly T[]): void {
    this.#windows.push([...items].sort((a, b) => a.length - b.length));
    this.#schedule();
  }

  /** Resolves when nothing runs. */
  async idle(): Promise<void> {
    if (this.#running > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Takes everything that waits out of the queue. */
  drain(): T[] {
    return [...this.#soon.splice(0), ...this.#windows.splice(0).flat()];
  }

  /** Texts of one turn of the event loop get into batches together. */
  #schedule(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    setImmediate(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#running < this.#options.lanes) {
      const bulkIsDue = this.#turns >= TURNS && this.#windows.length > 0;
      let items = bulkIsDue ? [] : this.#takeSoon();
      const bulk = items.length === 0;
      if (bulk) items = this.#takeBulk();
      if (items.length === 0) return;
      this.#turns = bulk ? 0 : this.#turns + 1;
      this.#start(items, bulk);
    }
  }

  #start(items: readonly T[], bulk: boolean): void {
    this.#running++;
    this.#run(items, bulk)
      .catch((error: unknown) => {
        for (const { job } of items) if (!job.over) job.fail(error);
      })
      .finally(() => {
        this.#running--;
        this.#pump();
        if (this.#running === 0) for (const resolve of this.#idle.splice(0)) resolve();
      });
  }

  /** The text that waits longest, and those that fit to it best. */
  #takeSoon(): T[] {
    const soon = this.#soon;
    let gone = 0;
    while (gone < soon.length && soon[gone]!.job.over) gone++;
    soon.splice(0, gone);
    const first = soon.shift();
    if (first === undefined) return [];
    const batch = [first];
    const budget = this.#options.budget();
    let longest = first.length;
    const near = soon
      .filter(({ job }) => !job.over)
      .sort((a, b) => Math.abs(a.length - first.length) - Math.abs(b.length - first.length));
    for (const item of near) {
      const most = Math.max(longest, item.length);
      if (most * (batch.length + 1) > budget) break;
      // Company that costs more padding than it brings is worse than waiting.
      if (2 * Math.min(first.length, item.length) < most && most > SHORT) break;
      longest = most;
      batch.push(item);
    }
    if (batch.length > 1) {
      const taken = new Set(batch);
      let kept = 0;
      for (const item of soon) if (!taken.has(item)) soon[kept++] = item;
      soon.length = kept;
    }
    return batch;
  }

  /** The longest texts of the oldest window. */
  #takeBulk(): T[] {
    for (;;) {
      const window = this.#windows[0];
      if (window === undefined) return [];
      const batch: T[] = [];
      const budget = this.#options.budget();
      let longest = 0;
      while (window.length > 0) {
        const item = window.at(-1)!;
        if (!item.job.over) {
          longest = Math.max(longest, item.length);
          if (batch.length > 0 && longest * (batch.length + 1) > budget) break;
          batch.push(item);
        }
        window.pop();
      }
      if (window.length === 0) this.#windows.shift();
      else if (this.#windows.length > 1) this.#windows.push(this.#windows.shift()!);
      if (batch.length > 0) return batch;
    }
  }
}

/** Texts up to this length share batches whatever their lengths. */
const SHORT = 16;
