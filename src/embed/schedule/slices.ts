/** Work in slices: the event loop gets its turn after every two milliseconds. */

const SLICE_MS = 2;

/** Says after each piece of work whether to wait: `const turn = slices(); … if (turn.due()) await turn.next();`. */
export class Slices {
  #since = performance.now();

  due(): boolean {
    return performance.now() - this.#since > SLICE_MS;
  }

  /** Lets what waits in the event loop run. */
  async next(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#since = performance.now();
  }
}
