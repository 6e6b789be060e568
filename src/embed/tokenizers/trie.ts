/** Trie over UTF-16 units in one open-addressing table: quick to build from a vocabulary, one probe a unit to walk. */

const MIX_NODE = 0x9e3779b1;
const MIX_UNIT = 0x85ebca6b;

/** Numbers of a slot: the parent, the unit, the child, and one that fills it up. A probe touches one line of memory. */
const WIDTH = 4;

export class Trie {
  /** Slots, each of `WIDTH` numbers; the parent of an empty one is -1. */
  #slots: Int32Array;
  #mask: number;
  #used = 0;
  #values: Int32Array;
  #nodes: number;
  #firsts: Int32Array | undefined;

  /** `roots` nodes, numbered from 0, are there from the start; `expected` is how many further ones to make room for. */
  constructor(roots = 1, expected = 1024) {
    let size = 1024;
    while (size < expected * 2) size *= 2;
    this.#slots = new Int32Array(WIDTH * size).fill(-1);
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
    const slots = this.#slots;
    let slot = (Math.imul(node, MIX_NODE) ^ Math.imul(unit, MIX_UNIT)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & mask;
    for (;;) {
      const at = slot * WIDTH;
      const parent = slots[at]!;
      if (parent === node && slots[at + 1] === unit) return slots[at + 2]!;
      if (parent === -1) return -1;
      slot = (slot + 1) & mask;
    }
  }

  /** The nodes below the first root by their unit, -1 where there is none. They hold until something is added. */
  firsts(): Int32Array {
    if (this.#firsts === undefined) {
      this.#firsts = new Int32Array(65536).fill(-1);
      const slots = this.#slots;
      for (let at = 0; at < slots.length; at += WIDTH)
        if (slots[at] === 0) this.#firsts[slots[at + 1]!] = slots[at + 2]!;
    }
    return this.#firsts;
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
    this.#firsts = undefined;
    const child = this.#nodes++;
    this.#place(node, unit, child);
    this.#used++;
    return child;
  }

  #place(node: number, unit: number, child: number): void {
    let slot = (Math.imul(node, MIX_NODE) ^ Math.imul(unit, MIX_UNIT)) >>> 0;
    slot = (slot ^ (slot >>> 15)) & this.#mask;
    while (this.#slots[slot * WIDTH] !== -1) slot = (slot + 1) & this.#mask;
    this.#slots[slot * WIDTH] = node;
    this.#slots[slot * WIDTH + 1] = unit;
    this.#slots[slot * WIDTH + 2] = child;
  }

  #grow(): void {
    const slots = this.#slots;
    this.#slots = new Int32Array(2 * slots.length).fill(-1);
    this.#mask = this.#slots.length / WIDTH - 1;
    for (let at = 0; at < slots.length; at += WIDTH)
      if (slots[at] !== -1) this.#place(slots[at]!, slots[at + 1]!, slots[at + 2]!);
  }
}
