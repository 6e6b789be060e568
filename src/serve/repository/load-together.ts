/** LoadTogether: several versions of a model take their places when all of them can, or none does. */

/** Loads one; `ready` is awaited when it could take its place, and `stop` is aborted when another one failed. */
export type LoadOne<V, M> = (version: V, ready: () => Promise<void>, stop: AbortSignal) => Promise<M>;

export class LoadTogether {
  readonly #expected: number;
  #waiting: (() => void)[] = [];

  constructor(expected: number) {
    this.#expected = expected;
  }

  /** What was loaded, in the order of `versions`. Rejects with the first failure, when all loads have ended. */
  async all<V, M>(versions: readonly V[], load: LoadOne<V, M>): Promise<readonly M[]> {
    const stop = new AbortController();
    const ready = (): Promise<void> =>
      new Promise((resolve, reject) => {
        stop.signal.addEventListener("abort", () => reject(stop.signal.reason), { once: true });
        if (stop.signal.aborted) reject(stop.signal.reason);
        this.#waiting.push(resolve);
        if (this.#waiting.length === this.#expected) for (const go of this.#waiting.splice(0)) go();
      });
    const loads = versions.map((version) =>
      load(version, ready, stop.signal).catch((error: unknown) => {
        stop.abort(error);
        throw error;
      }),
    );
    const settled = await Promise.allSettled(loads);
    if (stop.signal.aborted) throw stop.signal.reason;
    return settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  }
}
