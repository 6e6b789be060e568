/** Slots: so many at the same time; who comes later is let in as others leave, in their order. */

export interface Entered {
  /** Resolves when it is let in. */
  readonly admitted: Promise<void>;
  /** Gives the place back, or the wait up. May be called twice. */
  readonly leave: () => void;
}

export class Slots {
  #free: number;
  readonly #queue = new Set<() => void>();

  constructor(count: number) {
    this.#free = count;
  }

  get waiting(): number {
    return this.#queue.size;
  }

  enter(): Entered {
    let inside = this.#free > 0;
    let left = false;
    let admit: () => void = () => undefined;
    const admitted = inside
      ? Promise.resolve()
      : new Promise<void>((resolve) => {
          admit = () => {
            inside = true;
            resolve();
          };
        });
    if (inside) this.#free--;
    else this.#queue.add(admit);
    const leave = (): void => {
      if (left) return;
      left = true;
      if (!inside) {
        this.#queue.delete(admit);
        return;
      }
      const [next] = this.#queue;
      if (next === undefined) {
        this.#free++;
        return;
      }
      this.#queue.delete(next);
      next();
    };
    return { admitted, leave };
  }
}
