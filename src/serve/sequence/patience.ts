/** Patience: how long a request waits for its turn: until its deadline, or until nobody wants the answer any more. */
import { TenonError } from "../../base/index.js";

/** Longest time of a timer in milliseconds. */
const LONGEST_TIMER = 2 ** 31 - 1;

export class Patience {
  readonly #signal: AbortSignal | undefined;
  readonly #deadlineAt: number;

  constructor({ signal, deadlineMs }: { readonly signal?: AbortSignal; readonly deadlineMs?: number }) {
    this.#signal = signal;
    this.#deadlineAt = performance.now() + (deadlineMs ?? Number.POSITIVE_INFINITY);
  }

  /** Milliseconds until the deadline; undefined without one. Throws CANCELLED, DEADLINE. */
  left(): number | undefined {
    if (this.#signal?.aborted) throw new TenonError("CANCELLED");
    if (this.#deadlineAt === Number.POSITIVE_INFINITY) return undefined;
    const left = this.#deadlineAt - performance.now();
    if (left <= 0) throw new TenonError("DEADLINE");
    return left;
  }

  /** Resolves with `turn`, which never rejects. Rejects with CANCELLED or DEADLINE when that comes first. */
  wait(turn: Promise<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      const signal = this.#signal;
      let timer: NodeJS.Timeout | undefined;
      const settle = (end: () => void): void => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", look);
        end();
      };
      const look = (): void => {
        try {
          const left = this.left();
          if (left !== undefined) timer = setTimeout(look, Math.min(left, LONGEST_TIMER));
        } catch (error) {
          settle(() => reject(error));
        }
      };
      signal?.addEventListener("abort", look, { once: true });
      void turn.then(() => settle(resolve));
      look();
    });
  }
}
