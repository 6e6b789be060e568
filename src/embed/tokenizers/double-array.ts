/**
 * DoubleArray: a trie over UTF-16 units in two flat arrays, built at once from all of its texts. A step is one addition and
 * one comparison in one line of memory; what is left of a text that no other shares is compared where it lies.
 *
 * Aoe, "An efficient digital search algorithm by using a double-array structure" (1989), with tails.
 */
import type { Tables } from "./tables.js";

/** Numbers of a cell: where its children are counted from, or its tail; its parent; its value; one that fills a line up. */
const WIDTH = 4;
const FREE = -1;
const ROOT = -2;
/** Places that are tried for the children of a node before the search begins further on. */
const TRIES = 32;

/** The texts of a trie: the units [starts[i], ends[i]) have the value values[i], a number from 0, below the root roots[i]. */
export interface TrieTexts {
  readonly units: Uint16Array;
  readonly starts: ArrayLike<number>;
  readonly ends: ArrayLike<number>;
  readonly values: ArrayLike<number>;
  /** Default: all below root 0. */
  readonly roots?: ArrayLike<number>;
  readonly count: number;
}

export class DoubleArray {
  /** Of a unit: four times its code; 0 for one that no text has. */
  readonly codes: Uint16Array | Int32Array;
  /**
   * By cell, a multiple of four; root r is cell 4 r. First what the code of a child is added to, or for what has a tail, which no root has,
   * the complement of its place; then the parent's cell; then the value at this place, of what has a tail at its end, or -1.
   */
  readonly cells: Int32Array;
  /** Tails: their length, then their units. */
  readonly tails: Uint16Array;

  constructor(codes: Uint16Array | Int32Array, cells: Int32Array, tails: Uint16Array) {
    this.codes = codes;
    this.cells = cells;
    this.tails = tails;
  }

  /** From the arrays of one that was built. */
  static from({ codes, cells, tails }: Tables): DoubleArray {
    return new DoubleArray(codes!, cells as Int32Array, tails as Uint16Array);
  }

  /** What `from` takes. */
  tables(): Tables {
    return { codes: this.codes, cells: this.cells, tails: this.tails };
  }

  /** Of equal texts the later counts. */
  static of(texts: TrieTexts, roots = 1): DoubleArray {
    return new Builder(texts, roots).build();
  }

  /** Of texts by their place in a list. */
  static ofList(list: readonly string[]): DoubleArray {
    const starts = new Int32Array(list.length);
    const ends = new Int32Array(list.length);
    const values = new Int32Array(list.length);
    let at = 0;
    list.forEach((text, i) => {
      starts[i] = at;
      ends[i] = at += text.length;
      values[i] = i;
    });
    const units = new Uint16Array(at);
    const all = list.join("");
    for (let i = 0; i < at; i++) units[i] = all.charCodeAt(i);
    return DoubleArray.of({ units, starts, ends, values, count: list.length });
  }

  /** Calls `visit` with the value and the end of each text that begins at `start`, the shortest first. */
  prefixes(
    units: Uint16Array,
    start: number,
    end: number,
    visit: (value: number, end: number) => void,
  ): void {
    const { cells, codes, tails } = this;
    let cell = 0;
    for (let i = start; ; ) {
      const base = cells[cell]!;
      const value = cells[cell + 2]!;
      if (base < 0) {
        const tail = ~base;
        const length = tails[tail]!;
        let same = 0;
        while (same < length && i + same < end && tails[tail + 1 + same] === units[i + same]) same++;
        if (same === length) visit(value, i + length);
        return;
      }
      if (value !== -1) visit(value, i);
      if (i === end) return;
      const next = base + codes[units[i++]!]!;
      if (cells[next + 1] !== cell) return;
      cell = next;
    }
  }

  /** The value of the units [start, end), or -1. */
  find(units: Uint16Array, start: number, end: number): number {
    const { cells, codes, tails } = this;
    let cell = 0;
    for (let i = start; i < end; i++) {
      const base = cells[cell]!;
      if (base < 0) {
        let tail = ~base;
        if (tails[tail] !== end - i) return -1;
        for (; i < end; i++) if (tails[++tail] !== units[i]) return -1;
        return cells[cell + 2]!;
      }
      const next = base + codes[units[i]!]!;
      if (cells[next + 1] !== cell) return -1;
      cell = next;
    }
    return cells[cell]! < 0 ? -1 : cells[cell + 2]!;
  }
}

class Builder {
  readonly #texts: TrieTexts;
  readonly #codes: Uint16Array | Int32Array;
  readonly #unitsOf: number;
  #cells: Int32Array;
  #tails: Uint16Array;
  #tailLength = 0;
  /** No cell before this one is tried. */
  #first: number;
  #last = 0;
  readonly #order: Int32Array;
  readonly #sorted: Int32Array;
  /** By code: how many texts of the group go on with it, then where these begin. */
  readonly #counts: Int32Array;
  readonly #seen: Int32Array;
  readonly #stack: number[] = [];

  constructor(texts: TrieTexts, roots: number) {
    this.#texts = texts;
    const { units, starts, ends, count } = texts;
    const frequency = new Int32Array(65536);
    let total = 0;
    for (let i = 0; i < count; i++) {
      total += ends[i]! - starts[i]!;
      for (let at = starts[i]!; at < ends[i]!; at++) frequency[units[at]!]!++;
    }
    // Units that many texts have lie close together.
    const used: number[] = [];
    for (let unit = 0; unit < 65536; unit++) if (frequency[unit] !== 0) used.push(unit);
    used.sort((a, b) => frequency[b]! - frequency[a]! || a - b);
    this.#unitsOf = used.length;
    this.#codes = used.length * WIDTH < 65536 ? new Uint16Array(65536) : new Int32Array(65536);
    used.forEach((unit, i) => {
      this.#codes[unit] = WIDTH * (i + 1);
    });
    this.#cells = new Int32Array(WIDTH * (2 * count + used.length + 256));
    this.#clear(0, this.#cells.length);
    this.#tails = new Uint16Array(total + count);
    for (let root = 0; root < roots; root++) this.#cells[WIDTH * root + 1] = ROOT;
    this.#first = WIDTH * roots;
    this.#order = new Int32Array(count);
    this.#sorted = new Int32Array(count);
    this.#counts = new Int32Array(WIDTH * (used.length + 1));
    this.#seen = new Int32Array(used.length + 1);
    for (let i = 0; i < count; i++) this.#order[i] = i;
    if (texts.roots === undefined) this.#stack.push(0, 0, count, 0);
    else {
      let from = 0;
      for (let root = 0; root < roots; root++) {
        const start = from;
        for (let i = 0; i < count; i++) if (texts.roots[i] === root) this.#order[from++] = i;
        this.#stack.push(WIDTH * root, start, from, 0);
      }
    }
  }

  build(): DoubleArray {
    const stack = this.#stack;
    while (stack.length > 0) {
      const depth = stack.pop()!;
      const to = stack.pop()!;
      const from = stack.pop()!;
      this.#grow(stack.pop()!, from, to, depth);
    }
    const size = this.#last + WIDTH * (this.#unitsOf + 2);
    this.#makeRoom(size);
    return new DoubleArray(this.#codes, this.#cells.slice(0, size), this.#tails.slice(0, this.#tailLength));
  }

  /** Gives a cell the texts order[from..to), which are the same up to `depth`. */
  #grow(cell: number, from: number, to: number, depth: number): void {
    const { units, starts, ends, values } = this.#texts;
    const order = this.#order;
    if (cell > this.#last) this.#last = cell;
    if (to - from === 1 && this.#cells[cell + 1] !== ROOT) {
      const text = order[from]!;
      const start = starts[text]! + depth;
      const left = ends[text]! - start;
      this.#cells[cell + 2] = values[text]!;
      if (left > 0 && left < 65536) {
        this.#cells[cell] = ~this.#tailLength;
        this.#tails[this.#tailLength++] = left;
        for (let i = 0; i < left; i++) this.#tails[this.#tailLength++] = units[start + i]!;
        return;
      }
      if (left === 0) return;
      this.#cells[cell + 2] = -1;
    }
    const codes = this.#codes;
    const counts = this.#counts;
    const seen = this.#seen;
    let kinds = 0;
    let kept = from;
    for (let i = from; i < to; i++) {
      const text = order[i]!;
      const at = starts[text]! + depth;
      if (at === ends[text]!) {
        this.#cells[cell + 2] = values[text]!;
        continue;
      }
      order[kept++] = text;
      const code = codes[units[at]!]!;
      if (counts[code]!++ === 0) seen[kinds++] = code;
    }
    if (kinds === 0) return;
    const base = this.#place(kinds);
    this.#cells[cell] = base;
    let at = from;
    for (let i = 0; i < kinds; i++) {
      const code = seen[i]!;
      const child = base + code;
      this.#cells[child] = 0;
      this.#cells[child + 1] = cell;
      const next = at + counts[code]!;
      this.#stack.push(child, at, next, depth + 1);
      counts[code] = at;
      at = next;
    }
    const sorted = this.#sorted;
    for (let i = from; i < kept; i++) {
      const text = order[i]!;
      sorted[counts[codes[units[starts[text]! + depth]!]!]!++] = text;
    }
    for (let i = from; i < kept; i++) order[i] = sorted[i]!;
    for (let i = 0; i < kinds; i++) counts[seen[i]!] = 0;
  }

  /** A base from which the cells of the codes `seen` are free. */
  #place(kinds: number): number {
    const seen = this.#seen;
    let least = seen[0]!;
    let most = least;
    for (let i = 1; i < kinds; i++) {
      if (seen[i]! < least) least = seen[i]!;
      if (seen[i]! > most) most = seen[i]!;
    }
    let tries = 0;
    let cell = this.#first;
    let isFirst = true;
    for (; ; cell += WIDTH) {
      this.#makeRoom(cell + most + WIDTH);
      const cells = this.#cells;
      if (cells[cell + 1] !== FREE) continue;
      if (isFirst) {
        this.#first = cell;
        isFirst = false;
      }
      const base = cell - least;
      if (base < 0) continue;
      let i = 0;
      while (i < kinds && cells[base + seen[i]! + 1] === FREE) i++;
      if (i === kinds) {
        if (tries > TRIES) this.#first = cell;
        return base;
      }
      tries++;
    }
  }

  #makeRoom(size: number): void {
    const { length } = this.#cells;
    if (size <= length) return;
    const bigger = new Int32Array(WIDTH * Math.ceil(Math.max(size, 1.5 * length) / WIDTH));
    bigger.set(this.#cells);
    this.#cells = bigger;
    this.#clear(length, bigger.length);
  }

  /** Marks cells as free: no children, no parent, no value. */
  #clear(from: number, to: number): void {
    const cells = this.#cells;
    for (let i = from; i < to; i += WIDTH) {
      cells[i] = 0;
      cells[i + 1] = FREE;
      cells[i + 2] = -1;
    }
  }
}
