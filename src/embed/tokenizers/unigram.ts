/** Unigram (SentencePiece): the most likely way to cut a word into tokens, each with its score. */
import { DoubleArray } from "./double-array.js";
import type { TableStore } from "./tables.js";
import type { Tokens, WordModel } from "./tokens.js";
import type { Vocabulary } from "./vocabulary.js";

export interface UnigramOptions {
  /** Token and score (log probability), by id. */
  readonly pieces: readonly (readonly [token: string, score: number])[];
  /** The tokens, each with its place as its id. */
  readonly vocabulary: Vocabulary;
  readonly store: TableStore;
  readonly unknown: number | undefined;
  readonly byteFallback: boolean;
}

const UNKNOWN_PENALTY = 10;

/** A word model that can also tell how a part of a word is cut whatever stands around it. */
export interface UnigramModel extends WordModel {
  /** By id: 1 for what stands for unknown characters, which becomes one with more such beside it. */
  readonly isUnknown: Uint8Array;
  /**
   * Appends the tokens of a part that no token reaches out of. False, and nothing of use, where two ways are as likely, so
   * that what is added up before could decide, and where there are no tokens.
   */
  encodePart(units: Uint16Array, start: number, end: number, out: Tokens): boolean;
}

/** Scores nearer than this may change their order by what is added to both, which are at most some hundred thousand. */
const NEAR = 1e-6;

export function unigram(options: UnigramOptions): UnigramModel {
  const { pieces, unknown } = options;
  const { cells, codes, tails } = DoubleArray.from(
    options.store.take(() => trieOf(options.vocabulary).tables()),
  );
  // The score of a cell's token lies beside it, in place of its id: not a number until it is asked for, since most never
  // are and reading one as the reference does is slow; less than all others where there is none.
  const idOf = new Int32Array(cells.length / 4);
  const scores = new Float64Array(cells.buffer);
  for (let cell = 0; cell < cells.length; cell += 4) {
    const id = cells[cell + 2]!;
    idOf[cell >> 2] = id;
    scores[(cell >> 1) + 1] = id === -1 ? Number.NEGATIVE_INFINITY : Number.NaN;
  }
  let least = Number.POSITIVE_INFINITY;
  for (let id = 0; id < pieces.length; id++) if (pieces[id]![1] < least) least = pieces[id]![1];
  // Both readings differ in the last bits only.
  const near = least + Math.abs(least) * 1e-9;
  let lowest = Number.POSITIVE_INFINITY;
  for (let id = 0; id < pieces.length; id++)
    if (pieces[id]![1] <= near) lowest = Math.min(lowest, asReferenceReads(pieces[id]![1]));
  const unknownScore = lowest - UNKNOWN_PENALTY;
  const bytes = options.byteFallback ? byteTokens(options.vocabulary) : undefined;

  let best = new Float64Array(257);
  let from = new Int32Array(257);
  let ids = new Int32Array(257);
  let path = new Int32Array(257);

  // Whether two ways to the same place were as likely.
  let isClose = false;
  const search = (units: Uint16Array, start: number, end: number): void => {
    const length = end - start;
    isClose = false;
    if (length >= best.length) {
      best = new Float64Array(2 * length);
      from = new Int32Array(2 * length);
      ids = new Int32Array(2 * length);
      path = new Int32Array(2 * length);
    }
    // Less than any while no way ends there.
    best.fill(Number.NEGATIVE_INFINITY, 1, length + 1);
    best[0] = 0;
    for (let at = 0; at < length; ) {
      const size = (units[start + at]! & 0xfc00) === 0xd800 ? 2 : 1;
      const here = best[at]!;
      let single = false;
      let cell = 0;
      let base = cells[0]!;
      for (let i = at; i < length; ) {
        const next = base + codes[units[start + i]!]!;
        if (cells[next + 1] !== cell) break;
        i++;
        cell = next;
        base = cells[cell]!;
        if (base < 0) {
          // One token is left.
          let tail = ~base;
          const last = i + tails[tail]!;
          if (last > length) break;
          while (i < last && tails[++tail] === units[start + i]) i++;
          if (i < last) break;
        }
        let own = scores[(cell >> 1) + 1]!;
        if (Number.isNaN(own)) {
          own = asReferenceReads(pieces[idOf[cell >> 2]!]![1]);
          scores[(cell >> 1) + 1] = own;
        }
        const score = here + own;
        const other = best[i]!;
        if (score > other) {
          best[i] = score;
          from[i] = at;
          ids[i] = idOf[cell >> 2]!;
          if (score - other < NEAR) isClose = true;
        } else if (other - score < NEAR) isClose = true;
        if (i - at === size && own !== Number.NEGATIVE_INFINITY) single = true;
        if (base < 0) break;
      }
      if (!single) {
        const score = here + unknownScore;
        if (score > best[at + size]!) {
          best[at + size] = score;
          from[at + size] = at;
          ids[at + size] = -1;
        }
      }
      at += size;
    }
  };

  const emit = (units: Uint16Array, start: number, end: number, out: Tokens): void => {
    let steps = 0;
    for (let at = end - start; at > 0; at = from[at]!) path[steps++] = at;
    while (steps > 0) {
      const to = path[--steps]!;
      const id = ids[to]!;
      const first = from[to]!;
      if (id !== -1 && id !== unknown) {
        out.push(id, start + first, start + to);
        continue;
      }
      // Neighbouring unknown characters are one token; joined, they may be a known one.
      let last = to;
      while (steps > 0 && (ids[path[steps - 1]!] === -1 || ids[path[steps - 1]!] === unknown))
        last = path[--steps]!;
      const joined = options.vocabulary.find(units, start + first, start + last);
      if (joined !== -1) out.push(joined, start + first, start + last);
      else if (bytes !== undefined) pushBytes(units, start + first, start + last, bytes, out);
      else if (unknown !== undefined) out.push(unknown, start + first, start + last);
    }
  };

  const isUnknown = new Uint8Array(pieces.length);
  for (const id of bytes ?? []) isUnknown[id] = 1;
  if (unknown !== undefined) isUnknown[unknown] = 1;
  return {
    isUnknown,
    encode(units: Uint16Array, start: number, end: number, out: Tokens): void {
      search(units, start, end);
      emit(units, start, end, out);
    },
    encodePart(units: Uint16Array, start: number, end: number, out: Tokens): boolean {
      search(units, start, end);
      if (isClose) return false;
      const { length } = out;
      emit(units, start, end, out);
      return out.length > length;
    },
  };
}

/** The tokens of the bytes, `<0x00>` and so on; undefined unless all are there. */
function byteTokens(vocabulary: Vocabulary): readonly number[] | undefined {
  const ids = Array.from({ length: 256 }, (_, byte) =>
    vocabulary.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`),
  );
  return ids.every((id) => id !== undefined) ? ids : undefined;
}

function trieOf(vocabulary: Vocabulary): DoubleArray {
  const { units, starts, ids } = vocabulary.entries;
  const { size } = vocabulary;
  // An empty token, which the unknown one is here and there, would stand at every place.
  const used = Int32Array.from({ length: size }, (_, i) => i).filter((i) => starts[i]! < starts[i + 1]!);
  return DoubleArray.of({
    units,
    starts: used.map((i) => starts[i]!),
    ends: used.map((i) => starts[i + 1]!),
    values: used.map((i) => ids[i]!),
    count: used.length,
  });
}

function pushBytes(
  units: Uint16Array,
  start: number,
  end: number,
  ids: readonly number[],
  out: Tokens,
): void {
  for (let i = start; i < end; ) {
    const size = (units[i]! & 0xfc00) === 0xd800 ? 2 : 1;
    const text = String.fromCharCode(...units.subarray(i, i + size));
    for (const byte of Buffer.from(text)) out.push(ids[byte]!, start, end);
    i += size;
  }
}

/**
 * A score as the reference's JSON reader has it: all digits as one integer, rounded to float64, then divided by a power
 * of ten and rounded again. The last bit decides between ways of equal length, such as runs of hyphens.
 */
function asReferenceReads(score: number): number {
  const text = String(score);
  const { length } = text;
  // The digits but the last eight, and these: both are exact, and so is the first, shifted; one sum rounds.
  let upper = 0;
  let lower = 0;
  let digits = 0;
  let point = -1;
  let at = score < 0 ? 1 : 0;
  for (; at < length; at++) {
    const digit = text.charCodeAt(at) - 0x30;
    if (digit === POINT) point = at;
    else if (digit < 0 || digit > 9) break;
    else if (digits === 0 && digit === 0) continue;
    else if (++digits <= 9) upper = 10 * upper + digit;
    else lower = 10 * lower + digit;
  }
  if (point === -1 || digits > 17) return score;
  const exponent = (at < length ? Number(text.slice(at + 1)) : 0) - (at - point - 1);
  const whole = upper * POWERS[Math.max(0, digits - 9)]! + lower;
  const value = exponent < 0 ? whole / powerOfTen(-exponent) : whole * powerOfTen(exponent);
  return score < 0 ? -value : value;
}

const POINT = 0x2e - 0x30;
const POWERS = Array.from({ length: 23 }, (_, exponent) => 10 ** exponent);

function powerOfTen(exponent: number): number {
  return POWERS[exponent] ?? Number(`1e${exponent}`);
}
