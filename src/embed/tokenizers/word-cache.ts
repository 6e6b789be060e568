/** Cache from words to their ids, in flat arrays: a hit costs one comparison and one copy; no string is made. */
import type { Tokens, WordModel } from "./tokens.js";

const SLOTS = 65_536;
const MOST_WORDS = Math.floor(SLOTS * 0.7);
const MOST_UNITS = 2 ** 21;
const MOST_IDS = 2 ** 20;
const LONGEST_WORD = 64;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/** Puts a cache before `model`. It empties itself when full; calls that want spans pass it by. */
export function cached(model: WordModel): WordModel {
  // The number of a slot's word, from 1; 0 is an empty slot.
  const slots = new Int32Array(SLOTS);
  const hashes = new Int32Array(MOST_WORDS + 1);
  const unitStarts = new Int32Array(MOST_WORDS + 2);
  const idStarts = new Int32Array(MOST_WORDS + 2);
  let arena = new Uint16Array(2 ** 14);
  let ids = new Int32Array(2 ** 13);
  let count = 0;

  const remember = (
    units: Uint16Array,
    start: number,
    end: number,
    hash: number,
    out: Tokens,
    at: number,
  ) => {
    const unitsAfter = unitStarts[count + 1]! + end - start;
    const idsAfter = idStarts[count + 1]! + out.length - at;
    if (count === MOST_WORDS || unitsAfter > MOST_UNITS || idsAfter > MOST_IDS) {
      slots.fill(0);
      count = 0;
      unitStarts[1] = 0;
      idStarts[1] = 0;
      remember(units, start, end, hash, out, at);
      return;
    }
    if (unitsAfter > arena.length) {
      const bigger = new Uint16Array(Math.max(unitsAfter, 2 * arena.length));
      bigger.set(arena);
      arena = bigger;
    }
    if (idsAfter > ids.length) {
      const bigger = new Int32Array(Math.max(idsAfter, 2 * ids.length));
      bigger.set(ids);
      ids = bigger;
    }
    count++;
    let to = unitStarts[count]!;
    for (let i = start; i < end; i++) arena[to++] = units[i]!;
    to = idStarts[count]!;
    for (let i = at; i < out.length; i++) ids[to++] = out.ids[i]!;
    unitStarts[count + 1] = unitsAfter;
    idStarts[count + 1] = idsAfter;
    hashes[count] = hash;
    let slot = (hash ^ (hash >>> 16)) & (SLOTS - 1);
    while (slots[slot] !== 0) slot = (slot + 1) & (SLOTS - 1);
    slots[slot] = count;
  };

  const encode = (units: Uint16Array, start: number, end: number, out: Tokens): void => {
    const length = end - start;
    if (out.spans || length > LONGEST_WORD) {
      model.encode(units, start, end, out);
      return;
    }
    let hash = FNV_OFFSET;
    for (let i = start; i < end; i++) hash = Math.imul(hash ^ units[i]!, FNV_PRIME);
    let slot = (hash ^ (hash >>> 16)) & (SLOTS - 1);
    search: for (;;) {
      const word = slots[slot]!;
      if (word === 0) break;
      slot = (slot + 1) & (SLOTS - 1);
      if (hashes[word] !== hash) continue;
      const from = unitStarts[word]!;
      if (unitStarts[word + 1]! - from !== length) continue;
      for (let i = 0; i < length; i++) if (arena[from + i] !== units[start + i]) continue search;
      const last = idStarts[word + 1]!;
      out.reserve(last - idStarts[word]!);
      let to = out.length;
      for (let i = idStarts[word]!; i < last; i++) out.ids[to++] = ids[i]!;
      out.length = to;
      return;
    }
    const at = out.length;
    model.encode(units, start, end, out);
    remember(units, start, end, hash, out, at);
  };
  return { encode };
}
