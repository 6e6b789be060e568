/** WordPiece: the longest token from the left, again and again; a word that does not come out is one unknown token. */

import type { Tokens, WordModel } from "./tokens.js";
import { Trie } from "./trie.js";
import type { Vocabulary } from "./vocabulary.js";

export interface WordPieceOptions {
  readonly vocabulary: Vocabulary;
  readonly unknown: number;
  /** Before tokens that continue a word. */
  readonly prefix: string;
  /** Code points; a longer word is unknown. */
  readonly longestWord: number;
}

const START = 0;
const CONTINUE = 1;

export function wordPiece(options: WordPieceOptions): WordModel {
  const { prefix, unknown, longestWord } = options;
  const trie = new Trie(2, options.vocabulary.size * 3);
  options.vocabulary.forEach((units, from, to, id) => {
    trie.addUnits(units, from, to, id, START);
    let at = 0;
    while (at < prefix.length && units[from + at] === prefix.charCodeAt(at)) at++;
    if (at === prefix.length && from + at < to) trie.addUnits(units, from + at, to, id, CONTINUE);
  });
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
          let node = from === start ? START : CONTINUE;
          let id = -1;
          let to = from;
          for (let i = from; i < end; i++) {
            node = trie.next(node, units[i]!);
            if (node === -1) break;
            const value = trie.value(node);
            if (value !== -1) {
              id = value;
              to = i + 1;
            }
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
