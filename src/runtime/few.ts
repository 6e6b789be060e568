/** Few: a small set of short-lived things in order of arrival, such as the runs under way. */

/**
 * What a Set is for, but for garbage: each table that a Set or Map outgrows by adding and deleting points to the
 * next one, so that a table that got old keeps all later things young collections could free. Removing takes time in
 * proportion to the size.
 */
export class Few<T> implements Iterable<T> {
  readonly #items: T[] = [];

  get size(): number {
    return this.#items.length;
  }

  add(item: T): void {
    this.#items.push(item);
  }

  /** False when it was not there. */
  delete(item: T): boolean {
    const at = this.#items.indexOf(item);
    if (at < 0) return false;
    this.#items.splice(at, 1);
    return true;
  }

  find(matches: (item: T) => boolean): T | undefined {
    return this.#items.find(matches);
  }

  /** Takes everything out. */
  drain(): T[] {
    return this.#items.splice(0);
  }

  [Symbol.iterator](): Iterator<T> {
    return this.#items[Symbol.iterator]();
  }
}
