/** Trie over UTF-16 units in one open-addressing table: quick to build from a vocabulary, one probe a unit to walk. */

const MIX_NODE = 0x9e3779b1;
const MIX_UNIT = 0x85ebca6b;

export class Trie {
  #parents: Int32Array;
  #units: Uint16Array;
  #children: Int32Array;
  #mask: number;
  #used = 0;
  #values: Int32Array;
  #nodes: number;

  /** `roots` nodes, numbered from 0, are there from the start; `expected` is how many further ones to make room for. */
  constructor(roots = 1, expected = 1024) {
    let size = 1024;
    while (size < expected * 2) size *= 2;
    this.#parents = new Int32Array(size).fill(-1);
    this.#units = new Uint16Array(size);
    this.#children = new Int32Array(size);
    this.#mask = size - 1;
    this.#values = new Int32Array(Math.max(1024, expected + roots)).fill(-1);
    this.#nodes = roots;
  }

  /** Gives `text` below `root` the value, a number from 0. A later one takes the place of an earlier. */
  add(text: string, value: number, root = 0): void {
    let node = root;
    for (let i = 0; i < text.length; i++) node = this.#child(node, text.charCodeAt(i));
    this.#values[node] = value;
  }

  /** `add` for the units [start, end). */
  addUnits(units: Uint16Array, start: number, end: number, value: number, root = 0): void {
    let node = root;
    for (let i = start; i < end; i++) node = this.#child(node, units[i]!);
    this.#values[node] = value;
  }

  /** The node below `node` for a unit, or -1. */
  next(node: number, unit: number): number {
    const mask = this.#mask;
    let slot = (Math.imul(node, MIX_NODE) ^ Math.imul(unit, MIX_UNIT)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & mask;
    const parents = this.#parents;
    for (;;) {
      const parent = parents[slot]!;
      if (parent === node && this.#units[slot] === unit) return this.#children[slot]!;
      if (parent === -1) return -1;
      slot = (slot + 1) & mask;
    }
  }

  /** The value at a node, or -1. */
  value(node: number): number {
    return this.#values[node]!;
  }

  /** The value of the units [start, end) below `root`, or -1. */
  find(units: Uint16Array, start: number, end: number, root = 0): number {
    let node = root;
    for (let i = start; i < end; i++) {
      node = this.next(node, units[i]!);
      if (node === -1) return -1;
    }
    return this.#values[node]!;
  }

  #child(node: number, unit: number): number {
    const found = this.next(node, unit);
    if (found !== -1) return found;
    if (this.#used * 2 >= this.#mask) this.#grow();
    if (this.#nodes === this.#values.length) {
      const values = new Int32Array(2 * this.#values.length).fill(-1);
      values.set(this.#values);
      this.#values = values;
    }
    const child = this.#nodes++;
    this.#place(node, unit, child);
    this.#used++;
    return child;
  }

  #place(node: number, unit: number, child: number): void {
    let slot = (Math.imul(node, MIX_NODE) ^ Math.imul(unit, MIX_UNIT)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & this.#mask;
    while (this.#parents[slot] !== -1) slot = (slot + 1) & this.#mask;
    this.#parents[slot] = node;
    this.#units[slot] = unit;
    this.#children[slot] = child;
  }

  #grow(): void {
    const parents = this.#parents;
    const units = this.#units;
    const children = this.#children;
    const size = 2 * parents.length;
    this.#parents = new Int32Array(size).fill(-1);
    this.#units = new Uint16Array(size);
    this.#children = new Int32Array(size);
    this.#mask = size - 1;
    for (let i = 0; i < parents.length; i++)
      if (parents[i] !== -1) this.#place(parents[i]!, units[i]!, children[i]!);
  }
}
