/** Work in slices: the event loop gets its turn after every two milliseconds. */

const SLICE_MS = 2;

/** Says after each piece of work whether to wait: `const turn = slices(); … if (turn.due()) await turn.next();`. */
/** `make` of each item, in their order, the event loop's turns between. */
export async function inSlices<T, R>(items: readonly T[], make: (item: T, index: number) => R): Promise<R[]> {
  const turn = new Slices();
  const made: R[] = [];
  for (const [index, item] of items.entries()) {
    made.push(make(item, index));
    if (turn.due()) await turn.next();
  }
  return made;
}

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
