/** Word level: a word is a token, or the unknown one. */
import type { Tokens, WordModel } from "./tokens.js";
import type { Vocabulary } from "./vocabulary.js";

export function wordLevel(vocabulary: Vocabulary, unknown: number | undefined): WordModel {
  return {
    encode(units: Uint16Array, start: number, end: number, out: Tokens): void {
      const id = vocabulary.find(units, start, end);
      if (id !== -1) out.push(id, start, end);
      else if (unknown !== undefined) out.push(unknown, start, end);
    },
  };
}
