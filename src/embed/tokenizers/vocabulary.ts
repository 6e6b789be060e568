/** Vocabulary: tokens and their ids in flat arrays, quick to build and asked by units, so that no string is made. */
import { invalid } from "./parts.js";

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;
/** Ids are places in arrays; the largest vocabularies of real models have some hundred thousand. */
const HIGHEST_ID = 2 ** 22 - 1;

export class Vocabulary {
  /** Number of entries. */
  readonly size: number;
  /** The highest id; -1 without entries. */
  readonly highest: number;
  readonly #mask: number;
  /** An entry by hash, from 1; 0 is an empty slot. */
  readonly #slots: Int32Array;
  readonly #hashes: Int32Array;
  readonly #units: Uint16Array;
  readonly #starts: Int32Array;
  readonly #ids: Int32Array;
  #entryOf: Int32Array | undefined;

  /** Of two equal tokens the later counts. Throws FILE_INVALID for ids that are no counts, or too large. */
  constructor(tokens: readonly string[], idOf: (index: number) => unknown) {
    const { length } = tokens;
    this.size = length;
    let capacity = 1024;
    while (capacity < length * 2) capacity *= 2;
    this.#mask = capacity - 1;
    this.#slots = new Int32Array(capacity);
    this.#hashes = new Int32Array(length);
    this.#starts = new Int32Array(length + 1);
    this.#ids = new Int32Array(length);
    let total = 0;
    for (const token of tokens) total += token.length;
    const units = new Uint16Array(total);
    this.#units = units;
    let at = 0;
    let highest = -1;
    for (let entry = 0; entry < length; entry++) {
      const token = tokens[entry]!;
      const id = idOf(entry);
      if (typeof id !== "number" || !Number.isInteger(id) || id < 0 || id > HIGHEST_ID)
        throw invalid(`the id of "${token.slice(0, 64)}" is not a count up to ${HIGHEST_ID}`);
      if (id > highest) highest = id;
      let hash = FNV_OFFSET;
      for (let i = 0; i < token.length; i++) {
        const unit = token.charCodeAt(i);
        units[at++] = unit;
        hash = Math.imul(hash ^ unit, FNV_PRIME);
      }
      this.#hashes[entry] = hash;
      this.#starts[entry + 1] = at;
      this.#ids[entry] = id;
      let slot = slotOf(hash) & this.#mask;
      for (; this.#slots[slot] !== 0; slot = (slot + 1) & this.#mask) {
        if (this.#same(this.#slots[slot]! - 1, hash, token, 0, token.length)) break;
      }
      this.#slots[slot] = entry + 1;
    }
    this.highest = highest;
  }

  get(token: string): number | undefined {
    const id = this.findText(token, 0, token.length);
    return id === -1 ? undefined : id;
  }

  has(token: string): boolean {
    return this.findText(token, 0, token.length) !== -1;
  }

  /** The id of the part [start, end) of `text`, or -1. */
  findText(text: string, start: number, end: number): number {
    let hash = FNV_OFFSET;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
    for (let slot = slotOf(hash) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot]! - 1;
      if (entry === -1) return -1;
      if (this.#same(entry, hash, text, start, end)) return this.#ids[entry]!;
    }
  }

  /** The id of the parts [start, middle) and [next, end) of `text` together, or -1. */
  findJoined(text: string, start: number, middle: number, next: number, end: number): number {
    let hash = FNV_OFFSET;
    for (let i = start; i < middle; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
    for (let i = next; i < end; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
    const length = middle - start + Math.max(0, end - next);
    search: for (let slot = slotOf(hash) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot]! - 1;
      if (entry === -1) return -1;
      if (this.#hashes[entry] !== hash) continue;
      let at = this.#starts[entry]!;
      if (this.#starts[entry + 1]! - at !== length) continue;
      for (let i = start; i < middle; i++) if (this.#units[at++] !== text.charCodeAt(i)) continue search;
      for (let i = next; i < end; i++) if (this.#units[at++] !== text.charCodeAt(i)) continue search;
      return this.#ids[entry]!;
    }
  }

  /** The id of the units [start, end), or -1. */
  find(units: Uint16Array, start: number, end: number): number {
    let hash = FNV_OFFSET;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ units[i]!, FNV_PRIME);
    search: for (let slot = slotOf(hash) & this.#mask; ; slot = (slot + 1) & this.#mask) {
      const entry = this.#slots[slot]! - 1;
      if (entry === -1) return -1;
      if (this.#hashes[entry] !== hash) continue;
      const from = this.#starts[entry]!;
      if (this.#starts[entry + 1]! - from !== end - start) continue;
      for (let i = start; i < end; i++) if (this.#units[from + i - start] !== units[i]) continue search;
      return this.#ids[entry]!;
    }
  }

  /** The token of an id. */
  textOf(id: number): string | undefined {
    if (this.#entryOf === undefined) {
      this.#entryOf = new Int32Array(this.highest + 1).fill(-1);
      for (let entry = 0; entry < this.size; entry++) this.#entryOf[this.#ids[entry]!] = entry;
    }
    const entry = this.#entryOf[id] ?? -1;
    return entry === -1 ? undefined : this.#text(entry);
  }

  /** The entries, in their order: the units [starts[i], starts[i + 1]) have the id ids[i]. */
  get entries(): { readonly units: Uint16Array; readonly starts: Int32Array; readonly ids: Int32Array } {
    return { units: this.#units, starts: this.#starts, ids: this.#ids };
  }

  #text(entry: number): string {
    let text = "";
    for (let i = this.#starts[entry]!; i < this.#starts[entry + 1]!; i++)
      text += String.fromCharCode(this.#units[i]!);
    return text;
  }

  #same(entry: number, hash: number, text: string, start: number, end: number): boolean {
    if (this.#hashes[entry] !== hash) return false;
    const from = this.#starts[entry]!;
    if (this.#starts[entry + 1]! - from !== end - start) return false;
    for (let i = start; i < end; i++) if (this.#units[from + i - start] !== text.charCodeAt(i)) return false;
    return true;
  }
}

function slotOf(hash: number): number {
  return hash ^ (hash >>> 15);
}
