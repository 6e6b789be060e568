/** Cache from words to their ids, in flat arrays: a hit costs one comparison and one copy; no string is made. */
import type { Tokens, WordModel } from "./tokens.js";

/** A word's slot: two numbers that tell the word, then its ids. One line of memory answers for most words. */
const WIDTH = 4;
const FIRST_SLOTS = 4096;
const MOST_SLOTS = 65_536;
const MOST_UNITS = 2 ** 21;
const MOST_IDS = 2 ** 20;
/** Longer words are not kept. */
export const LONGEST_WORD = 64;
/** Words up to this length of units below 256 are told by their units alone. */
const PACKED = 8;
const MIX_LOW = 0x9e3779b1;
const MIX_HIGH = 0x85ebca6b;
const FNV_PRIME = 0x01000193;
/** In place of a word's upper units: its units are in the arena. No units pack to this, with nothing below something. */
const SPELLED = 0x01000000;

/** Puts a cache before `model`. It empties itself when full; calls that want spans pass it by. */
export function cached(model: WordModel): WordModel {
  const cache = new WordCache();
  return {
    encode(units, start, end, out) {
      const length = end - start;
      if (out.spans || length > LONGEST_WORD) {
        model.encode(units, start, end, out);
        return;
      }
      if (length === 1) {
        const known = cache.single[units[start]!]!;
        if (known !== 0) {
          if (out.length === out.ids.length) out.reserve(1);
          out.ids[out.length++] = known - 1;
          return;
        }
      } else if (cache.find(units, start, end, out)) return;
      const at = out.length;
      model.encode(units, start, end, out);
      if (length > 1) cache.remember(units, start, end, out, at);
      else if (out.length === at + 1) cache.single[units[start]!] = out.ids[at]! + 1;
    },
  };
}

/** What a word's ids are, by its units. */
export class WordCache {
  /** The id of a word of one unit and 1; 0 where it is not known, or has several. */
  readonly single = new Int32Array(65536);
  /**
   * By slot: the last four units and those before them; then how many ids, and the id or the place of several. Of a spelled
   * word: its hash and `SPELLED`, then its place in the arena, where its length, its number of ids and these stand.
   */
  #slots = new Int32Array(WIDTH * FIRST_SLOTS);
  #mask = FIRST_SLOTS - 1;
  #words = 0;
  #arena = new Uint16Array(2 ** 13);
  #units = 0;
  #ids = new Int32Array(2 ** 12);
  #idCount = 0;
  // What `#read` found.
  #low = 0;
  #high = 0;

  /** Appends the ids of a word of at least two units, if it is known. */
  find(units: Uint16Array, start: number, end: number, out: Tokens): boolean {
    this.#read(units, start, end);
    const low = this.#low;
    const high = this.#high;
    const slots = this.#slots;
    const mask = this.#mask;
    let slot = slotOf(low, high) & mask;
    for (; ; slot = (slot + 1) & mask) {
      const at = slot * WIDTH;
      const count = slots[at + 2]!;
      if (count === 0) return false;
      if (slots[at] !== low || slots[at + 1] !== high) continue;
      const place = slots[at + 3]!;
      if (high === SPELLED) {
        if (!this.#isSpelled(place, units, start, end)) continue;
        const from = this.#arena[place + 1]! + 65536 * this.#arena[place + 2]!;
        this.#copy(from, count, out);
      } else if (count === 1) {
        if (out.length === out.ids.length) out.reserve(1);
        out.ids[out.length++] = place;
      } else this.#copy(place, count, out);
      return true;
    }
  }

  /** Keeps the ids from `at` on for the word that `find` did not find just now. */
  remember(units: Uint16Array, start: number, end: number, out: Tokens, at: number): void {
    const count = out.length - at;
    if (count === 0) return;
    if (this.#words * 10 >= (this.#mask + 1) * 6 || this.#units > MOST_UNITS || this.#idCount > MOST_IDS)
      this.#makeRoom();
    this.#read(units, start, end);
    const low = this.#low;
    const high = this.#high;
    let place = out.ids[at]!;
    if (count > 1 || high === SPELLED) {
      place = this.#idCount;
      if (place + count > this.#ids.length)
        this.#ids = grown(this.#ids, new Int32Array(2 * this.#ids.length + count));
      for (let i = 0; i < count; i++) this.#ids[place + i] = out.ids[at + i]!;
      this.#idCount += count;
    }
    if (high === SPELLED) place = this.#spell(units, start, end, place);
    this.#words++;
    this.#put(low, high, count, place);
  }

  #copy(from: number, count: number, out: Tokens): void {
    if (out.length + count > out.ids.length) out.reserve(count);
    const ids = this.#ids;
    let to = out.length;
    for (let i = from; i < from + count; i++) out.ids[to++] = ids[i]!;
    out.length = to;
  }

  /** Two numbers that tell a word, or its hash. */
  #read(units: Uint16Array, start: number, end: number): void {
    if (end - start <= PACKED) {
      let low = 0;
      let high = 0;
      let all = 0;
      let none = 0;
      const middle = end - start > 4 ? end - 4 : start;
      for (let i = start; i < middle; i++) {
        const unit = units[i]!;
        high = (high << 8) | unit;
        all |= unit;
        none |= unit - 1;
      }
      for (let i = middle; i < end; i++) {
        const unit = units[i]!;
        low = (low << 8) | unit;
        all |= unit;
        none |= unit - 1;
      }
      // A unit 0 could not be told from none.
      if (all < 256 && none >= 0) {
        this.#low = low;
        this.#high = high;
        return;
      }
    }
    let hash = end - start;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ units[i]!, FNV_PRIME);
    this.#low = hash;
    this.#high = SPELLED;
  }

  #isSpelled(place: number, units: Uint16Array, start: number, end: number): boolean {
    const arena = this.#arena;
    if (arena[place] !== end - start) return false;
    for (let i = start, at = place + 3; i < end; i++) if (arena[at++] !== units[i]) return false;
    return true;
  }

  /** Writes a word into the arena: its length, the place of its ids, its units. */
  #spell(units: Uint16Array, start: number, end: number, ids: number): number {
    const place = this.#units;
    const needed = place + 3 + end - start;
    if (needed > this.#arena.length) this.#arena = grown(this.#arena, new Uint16Array(2 * needed));
    const arena = this.#arena;
    arena[place] = end - start;
    arena[place + 1] = ids & 0xffff;
    arena[place + 2] = ids >>> 16;
    for (let i = start, at = place + 3; i < end; i++) arena[at++] = units[i]!;
    this.#units = needed;
    return place;
  }

  #put(low: number, high: number, count: number, place: number): void {
    const slots = this.#slots;
    let slot = slotOf(low, high) & this.#mask;
    while (slots[slot * WIDTH + 2] !== 0) slot = (slot + 1) & this.#mask;
    const at = slot * WIDTH;
    slots[at] = low;
    slots[at + 1] = high;
    slots[at + 2] = count;
    slots[at + 3] = place;
  }

  /** More slots, or none of the words that are known. */
  #makeRoom(): void {
    const old = this.#slots;
    const isFull = this.#mask + 1 === MOST_SLOTS || this.#units > MOST_UNITS || this.#idCount > MOST_IDS;
    if (isFull) {
      old.fill(0);
      this.#words = 0;
      this.#units = 0;
      this.#idCount = 0;
      return;
    }
    this.#slots = new Int32Array(2 * old.length);
    this.#mask = this.#slots.length / WIDTH - 1;
    for (let at = 0; at < old.length; at += WIDTH)
      if (old[at + 2] !== 0) this.#put(old[at]!, old[at + 1]!, old[at + 2]!, old[at + 3]!);
  }
}

function grown<A extends Int32Array | Uint16Array>(array: A, bigger: A): A {
  bigger.set(array);
  return bigger;
}

function slotOf(low: number, high: number): number {
  const hash = Math.imul(low, MIX_LOW) ^ Math.imul(high, MIX_HIGH);
  return hash ^ (hash >>> 15);
}
