/** WordPiece: the longest token from the left, again and again; a word that does not come out is one unknown token. */

import { DoubleArray } from "./double-array.js";
import type { TableStore } from "./tables.js";
import type { Tokens, WordModel } from "./tokens.js";
import type { Vocabulary } from "./vocabulary.js";

export interface WordPieceOptions {
  readonly vocabulary: Vocabulary;
  readonly store: TableStore;
  readonly unknown: number;
  /** Before tokens that continue a word. */
  readonly prefix: string;
  /** Code points; a longer word is unknown. */
  readonly longestWord: number;
}

const START = 0;
const CONTINUE = 1;

export function wordPiece(options: WordPieceOptions): WordModel {
  const { unknown, longestWord } = options;
  const { cells, codes, tails } = DoubleArray.from(options.store.take(() => trieOf(options).tables()));
  const continued = 4 * CONTINUE;
  return {
    encode(units: Uint16Array, start: number, end: number, out: Tokens): void {
      const at = out.length;
      let points = 0;
      if (end - start > longestWord) {
        for (let i = start; i < end; i++) if ((units[i]! & 0xfc00) !== 0xdc00) points++;
      }
      if (points <= longestWord) {
        let from = start;
        while (from < end) {
          let cell = from === start ? START : continued;
          let base = cells[cell]!;
          let id = -1;
          let to = from;
          for (let i = from; i < end; ) {
            const next = base + codes[units[i]!]!;
            if (cells[next + 1] !== cell) break;
            i++;
            cell = next;
            base = cells[cell]!;
            if (base >= 0) {
              const value = cells[cell + 2]!;
              if (value !== -1) {
                id = value;
                to = i;
              }
              continue;
            }
            // One token is left.
            let tail = ~base;
            const last = i + tails[tail]!;
            if (last > end) break;
            while (i < last && tails[++tail] === units[i]) i++;
            if (i === last) {
              id = cells[cell + 2]!;
              to = last;
            }
            break;
          }
          if (id === -1 || to === from) break;
          out.push(id, from, to);
          from = to;
        }
        if (from === end) return;
      }
      out.length = at;
      out.push(unknown, start, end);
    },
  };
}

/** Tokens as they are below the first root, and what is behind the prefix below the second. */
function trieOf({ vocabulary, prefix }: WordPieceOptions): DoubleArray {
  const { units, starts, ids } = vocabulary.entries;
  const { size } = vocabulary;
  const from = new Int32Array(2 * size);
  const ends = new Int32Array(2 * size);
  const values = new Int32Array(2 * size);
  const roots = new Uint8Array(2 * size);
  let count = 0;
  const add = (entry: number, start: number, root: number): void => {
    from[count] = start;
    ends[count] = starts[entry + 1]!;
    values[count] = ids[entry]!;
    roots[count++] = root;
  };
  for (let entry = 0; entry < size; entry++) {
    const start = starts[entry]!;
    const end = starts[entry + 1]!;
    if (start === end) continue;
    add(entry, start, START);
    let at = 0;
    while (at < prefix.length && units[start + at] === prefix.charCodeAt(at)) at++;
    if (at === prefix.length && start + at < end) add(entry, start + at, CONTINUE);
  }
  return DoubleArray.of({ units, starts: from, ends, values, roots, count }, 2);
}
