/** RegionPool: a shared mapping cut into regions of powers of two (buddy system); the last used ones are at hand. */
import type { Mapping } from "./libc.js";

/** A piece of the mapping; offsets are from the mapping's start. */
export interface Region {
  readonly offset: number;
  readonly bytes: number;
}

/** Offsets of regions are multiples of this; frames count in it. */
export const REGION_UNIT = 1 << 14;
/** Exponent of the smallest region. */
const LEAST = 14;
/** Regions of at least this size give their pages back when they are not needed for a while. */
const DISCARD_FROM = 1 << 18;

export class RegionPool {
  readonly #mapping: Mapping;
  readonly #largest: number;
  /** Offsets of free regions by exponent of their size. */
  readonly #free: Set<number>[] = [];
  /** Regions that were in use lately, by exponent: taken again before anything is split. */
  readonly #idle: Region[][] = [];
  #used = 0;

  /** `bytes` of the mapping, a power of two. */
  constructor(mapping: Mapping, bytes: number) {
    this.#mapping = mapping;
    this.#largest = Math.log2(bytes);
    for (let e = 0; e <= this.#largest; e++) {
      this.#free.push(new Set());
      this.#idle.push([]);
    }
    this.#free[this.#largest]!.add(0);
  }

  /** Regions in use. */
  get used(): number {
    return this.#used;
  }

  /** A region of at least `bytes`; undefined when there is no room now. */
  take(bytes: number): Region | undefined {
    const exponent = Math.max(LEAST, Math.ceil(Math.log2(Math.max(bytes, 1))));
    if (exponent > this.#largest) return undefined;
    let region = this.#idle[exponent]!.pop() ?? this.#split(exponent);
    if (region === undefined) {
      this.trim();
      region = this.#split(exponent);
    }
    if (region !== undefined) this.#used++;
    return region;
  }

  give(region: Region): void {
    this.#used--;
    this.#idle[Math.log2(region.bytes)]!.push(region);
  }

  /** Joins the regions that are not in use, and gives the memory of the larger ones back. */
  trim(): void {
    this.#idle.forEach((regions, exponent) => {
      for (const { offset, bytes } of regions.splice(0)) {
        if (bytes >= DISCARD_FROM) this.#mapping.discard(offset, bytes);
        this.#join(offset, exponent);
      }
    });
  }

  #split(exponent: number): Region | undefined {
    let from = exponent;
    while (from <= this.#largest && this.#free[from]!.size === 0) from++;
    if (from > this.#largest) return undefined;
    const offset = this.#free[from]!.values().next().value!;
    this.#free[from]!.delete(offset);
    while (from > exponent) {
      from--;
      this.#free[from]!.add(offset + 2 ** from);
    }
    return { offset, bytes: 2 ** exponent };
  }

  #join(offset: number, exponent: number): void {
    while (exponent < this.#largest) {
      const buddy = offset % 2 ** (exponent + 1) === 0 ? offset + 2 ** exponent : offset - 2 ** exponent;
      if (!this.#free[exponent]!.delete(buddy)) break;
      offset = Math.min(offset, buddy);
      exponent++;
    }
    this.#free[exponent]!.add(offset);
  }
}
