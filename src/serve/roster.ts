/** Roster: what is under way in a server, such as its open requests. */

/** Something that a roster holds; it may be in one at a time. */
export interface Rostered {
  /** Its place in the roster, which is the roster's to write. */
  seat: number;
}

/**
 * What a Set is for, but for garbage: each table that a Set outgrows by adding and deleting points to the next one, so a
 * table that got old keeps all later members, with all that they hold, until a full collection. Adding and deleting
 * take constant time; the order is not kept.
 */
export class Roster<T extends Rostered> implements Iterable<T> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  add(member: T): void {
    member.seat = this.#members.length;
    this.#members.push(member);
  }

  /** Does nothing when it is not there. */
  delete(member: T): void {
    if (this.#members[member.seat] !== member) return;
    const last = this.#members.pop()!;
    if (last === member) return;
    this.#members[member.seat] = last;
    last.seat = member.seat;
  }

  /** Those that are there now: members may be deleted meanwhile. */
  [Symbol.iterator](): Iterator<T> {
    return this.#members.slice()[Symbol.iterator]();
  }
}
