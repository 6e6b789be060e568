/** Unigram (SentencePiece): the most likely way to cut a word into tokens, each with its score. */

import type { Tokens, WordModel } from "./tokens.js";
import { Trie } from "./trie.js";

export interface UnigramOptions {
  /** Token and score (log probability), by id. */
  readonly pieces: readonly (readonly [token: string, score: number])[];
  readonly unknown: number | undefined;
  readonly byteFallback: boolean;
}

const UNKNOWN_PENALTY = 10;

export function unigram(options: UnigramOptions): WordModel {
  const { pieces, unknown } = options;
  const trie = new Trie(1, pieces.length * 3);
  // Not a number until a score is asked for: most pieces never are, and reading one as the reference does is slow.
  const scores = new Float64Array(pieces.length).fill(Number.NaN);
  const scoreOf = (id: number): number => (scores[id] = asReferenceReads(pieces[id]![1]));
  let least = Number.POSITIVE_INFINITY;
  const byteIds = new Map<string, number>();
  pieces.forEach(([token, score], id) => {
    if (score < least) least = score;
    if (token !== "") trie.add(token, id);
    if (token.length === 6 && /^<0x[0-9A-F]{2}>$/.test(token)) byteIds.set(token, id);
  });
  // Both readings differ in the last bits only.
  let lowest = Number.POSITIVE_INFINITY;
  pieces.forEach(([, score], id) => {
    if (score <= least + Math.abs(least) * 1e-9) lowest = Math.min(lowest, scoreOf(id));
  });
  const unknownScore = lowest - UNKNOWN_PENALTY;
  const bytes =
    options.byteFallback && byteIds.size === 256
      ? Array.from(
          { length: 256 },
          (_, byte) => byteIds.get(`<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`)!,
        )
      : undefined;

  const firsts = trie.firsts();
  let best = new Float64Array(257);
  let from = new Int32Array(257);
  let ids = new Int32Array(257);
  let path = new Int32Array(257);

  return {
    encode(units: Uint16Array, start: number, end: number, out: Tokens): void {
      const length = end - start;
      if (length >= best.length) {
        best = new Float64Array(2 * length);
        from = new Int32Array(2 * length);
        ids = new Int32Array(2 * length);
        path = new Int32Array(2 * length);
      }
      // from[i] is -1 while no way ends at i.
      from.fill(-1, 0, length + 1);
      best[0] = 0;
      for (let at = 0; at < length; ) {
        const size = (units[start + at]! & 0xfc00) === 0xd800 ? 2 : 1;
        const here = best[at]!;
        let single = false;
        let node = firsts[units[start + at]!]!;
        for (let i = at; node !== -1; node = ++i < length ? trie.next(node, units[start + i]!) : -1) {
          const id = trie.value(node);
          if (id === -1) continue;
          let own = scores[id]!;
          if (Number.isNaN(own)) own = scoreOf(id);
          const score = here + own;
          if (from[i + 1] === -1 || score > best[i + 1]!) {
            best[i + 1] = score;
            from[i + 1] = at;
            ids[i + 1] = id;
          }
          if (i + 1 - at === size) single = true;
        }
        if (!single) {
          const score = here + unknownScore;
          if (from[at + size] === -1 || score > best[at + size]!) {
            best[at + size] = score;
            from[at + size] = at;
            ids[at + size] = -1;
          }
        }
        at += size;
      }
      let steps = 0;
      for (let at = length; at > 0; at = from[at]!) path[steps++] = at;
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
        const joined = trie.find(units, start + first, start + last);
        if (joined !== -1) out.push(joined, start + first, start + last);
        else if (bytes !== undefined) pushBytes(units, start + first, start + last, bytes, out);
        else if (unknown !== undefined) out.push(unknown, start + first, start + last);
      }
    },
  };
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
  const point = text.indexOf(".");
  if (point === -1 || text.length > 32) return score;
  const e = text.indexOf("e", point);
  const last = e === -1 ? text.length : e;
  const digits = Number(text.slice(0, point) + text.slice(point + 1, last));
  const exponent = (e === -1 ? 0 : Number(text.slice(e + 1))) - (last - point - 1);
  return exponent < 0 ? digits / Number(`1e${-exponent}`) : digits * Number(`1e${exponent}`);
}
