/** Pending: what one caller waits for: its vectors, a failure, or its own change of mind. */
import { TenonError } from "../../base/index.js";
import type { Job } from "./queue.js";

export class Pending implements Job {
  over = false;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => this.fail(cancelled(this.#signal));
  #error: unknown;
  #wake: (() => void) | undefined;
  #changed = false;

  constructor(signal: AbortSignal | undefined) {
    this.#signal = signal;
    if (signal?.aborted === true) this.fail(cancelled(signal));
    else signal?.addEventListener("abort", this.#onAbort, { once: true });
  }

  fail(error: unknown): void {
    if (this.over) return;
    this.over = true;
    this.#error = error;
    this.wake();
  }

  /** Throws what the call failed with. */
  check(): void {
    if (this.#error !== undefined) throw this.#error;
  }

  wake(): void {
    this.#changed = true;
    this.#wake?.();
  }

  /** Resolves when something changed since the last call; rejects once the call has failed. */
  async change(): Promise<void> {
    if (!this.#changed) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#changed = false;
    this.#wake = undefined;
    this.check();
  }

  finish(): void {
    this.over = true;
    this.#signal?.removeEventListener("abort", this.#onAbort);
  }
}

function cancelled(signal: AbortSignal | undefined): TenonError {
  return new TenonError("CANCELLED", { problem: "the caller cancelled the call", cause: signal?.reason });
}
