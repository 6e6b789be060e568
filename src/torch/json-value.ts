/** What the JSON reader gives, and what it is told. */

/** A JSON value. Integers beyond 2^53 are bigints; objects are maps. */
export type Json = null | boolean | number | bigint | string | readonly Json[] | JsonObject;

/** An object's members in their order. */
export type JsonObject = Map<string, Json> | LazyObject;

export interface JsonOptions {
  /** Most levels of nesting. Default 200. */
  readonly maxDepth?: number;
  /** Bounds memory: an object counts four times, a list twice, any other value once. Default 2,000,000. */
  readonly maxValues?: number;
  /** Accept bare `NaN`, `Infinity` and `-Infinity`, as Python's json writes them. */
  readonly nonFinite?: boolean;
  /** Refuse numbers with a sign, a fraction or an exponent. */
  readonly countsOnly?: boolean;
  /** Keys, at any depth, of whose objects only these members are read; the others are passed over. */
  readonly only?: ReadonlyMap<string, ReadonlySet<string>>;
  /** Keys whose objects' members are read when they are asked for, at any depth. */
  readonly lazy?: ReadonlySet<string>;
}

/** An object whose members are parsed when they are asked for. */
export class LazyObject {
  readonly #keys: ReadonlyMap<string, unknown>;
  readonly #read: (key: string) => Json;

  /** `members` holds what `read` makes values of. */
  constructor(members: ReadonlyMap<string, unknown>, read: (key: string) => Json) {
    this.#keys = members;
    this.#read = read;
  }

  get size(): number {
    return this.#keys.size;
  }

  has(key: string): boolean {
    return this.#keys.has(key);
  }

  /** The member, parsed now; undefined when there is none. */
  get(key: string): Json | undefined {
    return this.#keys.has(key) ? this.#read(key) : undefined;
  }

  keys(): IterableIterator<string> {
    return this.#keys.keys();
  }
}
