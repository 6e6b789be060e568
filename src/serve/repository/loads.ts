/** Loads: those of one name follow each other; one is given up after its time, and when its model is unloaded meanwhile. */
import { formatDuration, TenonError } from "../../base/index.js";

interface Line {
  /** Resolves when the last load is through. */
  last: Promise<void>;
  /** Those of the loads that are not through. */
  readonly stops: Set<AbortController>;
}

export class Loads {
  readonly #limitMs: number | undefined;
  readonly #lines = new Map<string, Line>();

  /** `limitMs`: longest time of one load in milliseconds; undefined: none is too long. */
  constructor(limitMs: number | undefined) {
    this.#limitMs = limitMs;
  }

  /** Runs `load` when those of its name before it are through. Once `signal` is aborted its model takes no place. */
  run<T>(name: string, load: (signal: AbortSignal) => Promise<T>): Promise<T> {
    let line = this.#lines.get(name);
    if (line === undefined) {
      line = { last: Promise.resolve(), stops: new Set() };
      this.#lines.set(name, line);
    }
    const { last, stops } = line;
    const stop = new AbortController();
    stops.add(stop);
    const loading = last.then(() => {
      stop.signal.throwIfAborted();
      return load(stop.signal);
    });
    const done = (): void => {
      stops.delete(stop);
      if (stops.size === 0) this.#lines.delete(name);
    };
    line.last = loading.then(done, done);
    return loading;
  }

  /** Resolves when no load of a name is under way. */
  async settled(name: string): Promise<void> {
    for (let line = this.#lines.get(name); line !== undefined; line = this.#lines.get(name)) await line.last;
  }

  /** Gives up the loads of a name, also those that wait for others. */
  cancel(name: string): void {
    const reason = new TenonError("MODEL_UNAVAILABLE", {
      problem: `model "${name}" was unloaded while it was loading`,
    });
    for (const stop of this.#lines.get(name)?.stops ?? []) stop.abort(reason);
  }

  /** The part of a load that the limit counts. Rejects as soon as it is given up. */
  async inTime<T>(signal: AbortSignal, start: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = this.#limitMs;
    const late = new AbortController();
    const either = AbortSignal.any([signal, late.signal]);
    const loading = start(either);
    // Nobody hears of a load that was given up.
    loading.catch(() => undefined);
    const timer = limit === undefined ? undefined : setTimeout(() => late.abort(tookTooLong(limit)), limit);
    try {
      return await new Promise<T>((resolve, reject) => {
        either.addEventListener("abort", () => reject(either.reason), { once: true });
        if (either.aborted) reject(either.reason);
        loading.then(resolve, reject);
      });
    } finally {
      clearTimeout(timer);
    }
  }
}

function tookTooLong(limit: number): TenonError {
  return new TenonError("MODEL_UNAVAILABLE", {
    problem: `loading took longer than ${formatDuration(limit)}`,
    do: "raise --load-timeout, or start with --warmup off",
  });
}
