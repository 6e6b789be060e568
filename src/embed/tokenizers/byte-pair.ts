/** Byte-pair encoding: characters or bytes joined pair by pair, the pair that was learned first before all others. */
import { byteCharacters } from "./line.js";
import { invalid } from "./parts.js";
import type { TableStore } from "./tables.js";
import type { Tokens, WordModel } from "./tokens.js";
import type { Vocabulary } from "./vocabulary.js";

export interface BytePairOptions {
  readonly store: TableStore;
  readonly vocabulary: Vocabulary;
  /** Pairs in the order in which they were learned, "a b" or ["a", "b"]. */
  readonly merges: readonly unknown[];
  /** Words are read as UTF-8 bytes, each written as one character. */
  readonly byteLevel: boolean;
  readonly unknown: number | undefined;
  /** Neighbouring unknown tokens become one. */
  readonly fuseUnknown: boolean;
  /** A character outside the vocabulary becomes its bytes, `<0x41>` and so on. */
  readonly byteFallback: boolean;
  /** A word that is a token stays whole. */
  readonly ignoreMerges: boolean;
  /** Before every symbol of a word but the first. */
  readonly prefix: string;
  /** After the last symbol of a word. */
  readonly suffix: string;
}

/** Numbers of a slot: both ids of a pair, its rank, and the id that it becomes. A look touches one line of memory. */
const WIDTH = 4;

/** Ranks and results of merges by pair of ids. */
class Merges {
  readonly slots: Int32Array;
  readonly #mask: number;

  constructor(slots: Int32Array) {
    this.slots = slots;
    this.#mask = slots.length / WIDTH - 1;
  }

  /** Empty, with room for so many. */
  static for(count: number): Merges {
    let size = 1024;
    while (size < count * 1.3) size *= 2;
    return new Merges(new Int32Array(WIDTH * size).fill(-1));
  }

  /** The later of two merges of the same pair counts. */
  add(left: number, right: number, rank: number, result: number): void {
    const slots = this.slots;
    let at = this.#first(left, right);
    while (slots[at] !== -1 && !(slots[at] === left && slots[at + 1] === right)) at = this.#next(at);
    slots[at] = left;
    slots[at + 1] = right;
    slots[at + 2] = rank;
    slots[at + 3] = result;
  }

  /** Where the rank of a pair stands, its result behind it; -1 for a pair that is not joined. */
  find(left: number, right: number): number {
    const slots = this.slots;
    for (let at = this.#first(left, right); ; at = this.#next(at)) {
      const found = slots[at]!;
      if (found === left && slots[at + 1] === right) return at + 2;
      if (found === -1) return -1;
    }
  }

  /** What stands at a place that `find` gave. */
  at(place: number): number {
    return this.slots[place]!;
  }

  #first(left: number, right: number): number {
    const hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    return WIDTH * ((hash ^ (hash >>> 15)) & this.#mask);
  }

  #next(at: number): number {
    return WIDTH * ((at / WIDTH + 1) & this.#mask);
  }
}

/** Longer words go through a heap, so that no text costs quadratic time. */
const MOST_BY_SCAN = 64;

export function bytePair(options: BytePairOptions): WordModel {
  const { vocabulary, prefix, suffix } = options;
  const { slots } = options.store.take(() => ({ slots: mergesOf(options).slots }));
  const merges = new Merges(slots as Int32Array);
  const characters = byteCharacters();
  // Ids of bytes by place: 0 inside a word, 1 first, 2 last, 3 the only one.
  const bytesByPlace = [0, 1, 2, 3].map((place) =>
    Int32Array.from(
      characters,
      (character) => vocabulary.get((place & 1 ? "" : prefix) + character + (place & 2 ? suffix : "")) ?? -1,
    ),
  );
  const fallback = options.byteFallback
    ? Array.from(
        { length: 256 },
        (_, byte) => vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`) ?? -1,
      )
    : undefined;

  const plain = prefix === "" && suffix === "";
  let symbols = new Int32Array(256);
  let starts = new Int32Array(256);
  let ends = new Int32Array(256);
  // Of a symbol and the next: the rank of their merge, and what it gives.
  let ranks = new Int32Array(256);
  let results = new Int32Array(256);
  let links = new Int32Array(256);
  let backs = new Int32Array(256);
  let count = 0;
  const room = (needed: number): void => {
    if (needed <= symbols.length) return;
    const size = Math.max(needed, 2 * symbols.length);
    [symbols, starts, ends] = [symbols, starts, ends].map((array) => {
      const bigger = new Int32Array(size);
      bigger.set(array);
      return bigger;
    }) as [Int32Array<ArrayBuffer>, Int32Array<ArrayBuffer>, Int32Array<ArrayBuffer>];
    ranks = new Int32Array(size);
    results = new Int32Array(size);
    links = new Int32Array(size);
    backs = new Int32Array(size);
  };
  const add = (id: number, start: number, end: number): void => {
    symbols[count] = id;
    starts[count] = start;
    ends[count++] = end;
  };
  const addUnknown = (start: number, end: number): void => {
    const { unknown } = options;
    if (unknown === undefined) return;
    if (options.fuseUnknown && count > 0 && symbols[count - 1] === unknown && ends[count - 1] === start)
      ends[count - 1] = end;
    else add(unknown, start, end);
  };

  const splitBytes = (units: Uint16Array, start: number, end: number): void => {
    room((end - start) * 3 + 1);
    const last = bytesByPlace[2]!;
    const only = bytesByPlace[3]!;
    let table = bytesByPlace[1]!;
    const inner = bytesByPlace[0]!;
    const addByte = (byte: number, from: number, to: number, isLast: boolean): void => {
      const id = isLast ? (table === inner ? last : only)[byte]! : table[byte]!;
      if (id === -1) addUnknown(from, to);
      else add(id, from, to);
      table = inner;
    };
    for (let i = start; i < end; i++) {
      const unit = units[i]!;
      if (unit < 0x80) addByte(unit, i, i + 1, i + 1 === end);
      else if (unit < 0x800) {
        addByte(0xc0 | (unit >> 6), i, i + 1, false);
        addByte(0x80 | (unit & 63), i, i + 1, i + 1 === end);
      } else if ((unit & 0xfc00) === 0xd800) {
        const point = ((unit - 0xd800) << 10) + (units[i + 1]! - 0xdc00) + 0x10000;
        addByte(0xf0 | (point >> 18), i, i + 2, false);
        addByte(0x80 | ((point >> 12) & 63), i, i + 2, false);
        addByte(0x80 | ((point >> 6) & 63), i, i + 2, false);
        addByte(0x80 | (point & 63), i, i + 2, i + 2 === end);
        i++;
      } else {
        addByte(0xe0 | (unit >> 12), i, i + 1, false);
        addByte(0x80 | ((unit >> 6) & 63), i, i + 1, false);
        addByte(0x80 | (unit & 63), i, i + 1, i + 1 === end);
      }
    }
  };

  const splitCharacters = (units: Uint16Array, start: number, end: number): void => {
    room((end - start) * 4 + 1);
    for (let i = start; i < end; ) {
      const size = (units[i]! & 0xfc00) === 0xd800 ? 2 : 1;
      const known = plain ? vocabulary.find(units, i, i + size) : -1;
      if (known !== -1) {
        add(known, i, i + size);
        i += size;
        continue;
      }
      const character =
        size === 2 ? String.fromCharCode(units[i]!, units[i + 1]!) : String.fromCharCode(units[i]!);
      const symbol = (i === start ? "" : prefix) + character + (i + size === end ? suffix : "");
      const id = vocabulary.get(symbol);
      if (id !== undefined) add(id, i, i + size);
      else {
        const bytes = fallback === undefined ? [] : [...Buffer.from(symbol)].map((byte) => fallback[byte]!);
        if (bytes.length > 0 && !bytes.includes(-1)) for (const byte of bytes) add(byte, i, i + size);
        else addUnknown(i, i + size);
      }
      i += size;
    }
  };

  const NONE = 0x7fffffff;
  const look = (i: number): void => {
    const place = merges.find(symbols[i]!, symbols[i + 1]!);
    ranks[i] = place === -1 ? NONE : merges.at(place);
    results[i] = place === -1 ? NONE : merges.at(place + 1);
  };

  const mergeByScan = (spans: boolean): void => {
    for (let i = 0; i + 1 < count; i++) look(i);
    for (;;) {
      let best = -1;
      let bestRank = NONE;
      const last = count - 1;
      for (let i = 0; i < last; i++) {
        if (ranks[i]! < bestRank) {
          bestRank = ranks[i]!;
          best = i;
        }
      }
      if (best === -1) return;
      symbols[best] = results[best]!;
      if (spans) ends[best] = ends[best + 1]!;
      count--;
      for (let i = best + 1; i < count; i++) {
        symbols[i] = symbols[i + 1]!;
        ranks[i] = ranks[i + 1]!;
        results[i] = results[i + 1]!;
      }
      if (spans) {
        for (let i = best + 1; i < count; i++) {
          starts[i] = starts[i + 1]!;
          ends[i] = ends[i + 1]!;
        }
      }
      if (best + 1 < count) look(best);
      if (best > 0) look(best - 1);
    }
  };

  const mergeByHeap = (): void => {
    const heap = new PairHeap();
    for (let i = 0; i < count; i++) {
      links[i] = i + 1 < count ? i + 1 : -1;
      backs[i] = i - 1;
    }
    const offer = (at: number): void => {
      const next = at < 0 ? -1 : links[at]!;
      if (next === -1) return;
      const place = merges.find(symbols[at]!, symbols[next]!);
      if (place !== -1) heap.push(merges.at(place), at, symbols[at]!, symbols[next]!);
    };
    for (let i = 0; i + 1 < count; i++) offer(i);
    while (heap.pop()) {
      const { at, left, right } = heap;
      const next = links[at]!;
      if (symbols[at] !== left || next === -1 || symbols[next] !== right) continue;
      symbols[at] = merges.at(merges.find(left, right) + 1);
      ends[at] = ends[next]!;
      symbols[next] = -2;
      links[at] = links[next]!;
      if (links[at] !== -1) backs[links[at]!] = at;
      links[next] = -1;
      offer(backs[at]!);
      offer(at);
    }
    let kept = 0;
    for (let i = 0; i < count; i++) {
      if (symbols[i] === -2) continue;
      symbols[kept] = symbols[i]!;
      starts[kept] = starts[i]!;
      ends[kept++] = ends[i]!;
    }
    count = kept;
  };

  return {
    encode(units: Uint16Array, start: number, end: number, out: Tokens): void {
      if (options.ignoreMerges) {
        const id = options.byteLevel
          ? bytesText(units, start, end, characters, vocabulary)
          : vocabulary.find(units, start, end);
        if (id !== -1) {
          out.push(id, start, end);
          return;
        }
      }
      count = 0;
      if (options.byteLevel) splitBytes(units, start, end);
      else splitCharacters(units, start, end);
      if (count > MOST_BY_SCAN) mergeByHeap();
      else if (count > 1) mergeByScan(out.spans);
      for (let i = 0; i < count; i++) out.push(symbols[i]!, starts[i]!, ends[i]!);
    },
  };
}

const SCRATCH = new Uint16Array(1024);

/** The id of a word whose bytes are written as characters, or -1. */
function bytesText(
  units: Uint16Array,
  start: number,
  end: number,
  characters: readonly string[],
  vocabulary: Vocabulary,
): number {
  let length = 0;
  if (end - start > SCRATCH.length / 3) {
    const text = Buffer.from(units.buffer, units.byteOffset + 2 * start, 2 * (end - start)).toString(
      "utf16le",
    );
    return vocabulary.get(Array.from(Buffer.from(text), (byte) => characters[byte]!).join("")) ?? -1;
  }
  const put = (byte: number): void => {
    SCRATCH[length++] = characters[byte]!.charCodeAt(0);
  };
  for (let i = start; i < end; i++) {
    const unit = units[i]!;
    if (unit < 0x80) put(unit);
    else if (unit < 0x800) {
      put(0xc0 | (unit >> 6));
      put(0x80 | (unit & 63));
    } else if ((unit & 0xfc00) === 0xd800) {
      const point = ((unit - 0xd800) << 10) + (units[++i]! - 0xdc00) + 0x10000;
      put(0xf0 | (point >> 18));
      put(0x80 | ((point >> 12) & 63));
      put(0x80 | ((point >> 6) & 63));
      put(0x80 | (point & 63));
    } else {
      put(0xe0 | (unit >> 12));
      put(0x80 | ((unit >> 6) & 63));
      put(0x80 | (unit & 63));
    }
  }
  return vocabulary.find(SCRATCH, 0, length);
}

/** Throws FILE_INVALID for a merge that is no pair of tokens, or whose tokens are not in the vocabulary. */
function mergesOf(options: BytePairOptions): Merges {
  const { vocabulary, prefix } = options;
  const merges = Merges.for(options.merges.length);
  let rank = 0;
  for (const merge of options.merges) {
    let a = -1;
    let b = -1;
    let joined = -1;
    if (typeof merge === "string") {
      if (merge.startsWith("#version")) continue;
      const space = merge.indexOf(" ");
      if (space !== -1 && merge.indexOf(" ", space + 1) === -1) {
        a = vocabulary.findText(merge, 0, space);
        b = vocabulary.findText(merge, space + 1, merge.length);
        joined = vocabulary.findJoined(merge, 0, space, space + 1 + prefix.length, merge.length);
      }
    } else if (Array.isArray(merge) && typeof merge[0] === "string" && typeof merge[1] === "string") {
      a = vocabulary.findText(merge[0], 0, merge[0].length);
      b = vocabulary.findText(merge[1], 0, merge[1].length);
      const text = merge[0] + merge[1];
      joined = vocabulary.findJoined(text, 0, merge[0].length, merge[0].length + prefix.length, text.length);
    }
    if (a === -1 || b === -1 || joined === -1)
      throw invalid(
        `merge ${rank} is not a pair of tokens whose join is one: ${JSON.stringify(merge)?.slice(0, 80)}`,
      );
    merges.add(a, b, rank++, joined);
  }
  return merges;
}

/** Candidate merges, the lowest rank first and the leftmost of equals. */
class PairHeap {
  at = 0;
  left = 0;
  right = 0;
  readonly #rows: number[] = [];

  push(rank: number, at: number, left: number, right: number): void {
    const rows = this.#rows;
    let index = rows.length / 4;
    rows.push(rank, at, left, right);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#before(index, parent)) break;
      this.#swap(index, parent);
      index = parent;
    }
  }

  pop(): boolean {
    const rows = this.#rows;
    const size = rows.length / 4;
    if (size === 0) return false;
    this.at = rows[1]!;
    this.left = rows[2]!;
    this.right = rows[3]!;
    this.#swap(0, size - 1);
    rows.length -= 4;
    for (let index = 0; ; ) {
      const first = 2 * index + 1;
      if (first >= size - 1) return true;
      const child = first + 1 < size - 1 && this.#before(first + 1, first) ? first + 1 : first;
      if (!this.#before(child, index)) return true;
      this.#swap(child, index);
      index = child;
    }
  }

  #before(a: number, b: number): boolean {
    const rows = this.#rows;
    return (
      rows[4 * a]! < rows[4 * b]! || (rows[4 * a] === rows[4 * b] && rows[4 * a + 1]! < rows[4 * b + 1]!)
    );
  }

  #swap(a: number, b: number): void {
    const rows = this.#rows;
    for (let i = 0; i < 4; i++) {
      const kept = rows[4 * a + i]!;
      rows[4 * a + i] = rows[4 * b + i]!;
      rows[4 * b + i] = kept;
    }
  }
}
