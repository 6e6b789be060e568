/** Word level: a word is a token, or the unknown one. */
import type { Tokens, WordModel } from "./tokens.js";

export function wordLevel(vocabulary: ReadonlyMap<string, number>, unknown: number | undefined): WordModel {
  return {
    encode(units: Uint16Array, start: number, end: number, out: Tokens): void {
      const word = Buffer.from(units.buffer, units.byteOffset + 2 * start, 2 * (end - start));
      const id = vocabulary.get(word.toString("utf16le")) ?? unknown;
      if (id !== undefined) out.push(id, start, end);
    },
  };
}
