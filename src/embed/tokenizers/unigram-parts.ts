/** Unigram words in parts: between two characters that no token holds side by side a word comes apart, and parts come again. */
import type { Tokens, WordModel } from "./tokens.js";
import type { UnigramModel } from "./unigram.js";
import type { Vocabulary } from "./vocabulary.js";
import { cached, LONGEST_WORD, WordCache } from "./word-cache.js";

/** Units that are looked at; others hold together with any. */
const UNITS = 256;

/**
 * `model`, with the parts of words remembered. The most likely way through a word goes through every place that no token
 * reaches over, so the ways of its parts are its own. A word is looked at as a whole where two sums of a part are so near to
 * each other that what was added before decides, and where unknown characters meet across parts.
 */
export function inParts(model: UnigramModel, vocabulary: Vocabulary): WordModel {
  const joins = joinsOf(vocabulary);
  const whole = cached(model);
  const cache = new WordCache();
  const wholeOnly = new WordCache();

  const part = (units: Uint16Array, start: number, end: number, out: Tokens): boolean => {
    const length = end - start;
    if (length === 1) {
      const known = cache.single[units[start]!]!;
      if (known !== 0) {
        out.push(known - 1, start, end);
        return true;
      }
    } else if (length <= LONGEST_WORD) {
      if (cache.find(units, start, end, out)) return true;
      const at = out.length;
      if (wholeOnly.find(units, start, end, out)) {
        out.length = at;
        return false;
      }
    }
    const at = out.length;
    const isOwn = model.encodePart(units, start, end, out);
    if (length === 1) {
      if (isOwn && out.length === at + 1) cache.single[units[start]!] = out.ids[at]! + 1;
    } else if (length <= LONGEST_WORD) {
      if (isOwn) cache.remember(units, start, end, out, at);
      else {
        out.push(0, start, end);
        wholeOnly.remember(units, start, end, out, at);
      }
    }
    return isOwn;
  };

  const { isUnknown } = model;
  /** Tries a word in parts. */
  const encodeParts = (units: Uint16Array, start: number, end: number, out: Tokens): boolean => {
    let from = start;
    let last = units[start]!;
    let afterUnknown = 0;
    for (let i = start + 1; i <= end; i++) {
      const unit = i < end ? units[i]! : 0;
      if (i === end || ((last | unit) < UNITS && joins[(last << 8) | unit] === 0)) {
        const at = out.length;
        if (!part(units, from, i, out) || (afterUnknown & isUnknown[out.ids[at]!]!) !== 0) return false;
        afterUnknown = isUnknown[out.ids[out.length - 1]!]!;
        from = i;
      }
      last = unit;
    }
    return true;
  };

  return {
    remembers: true,
    encode(units, start, end, out) {
      if (out.spans) {
        model.encode(units, start, end, out);
        return;
      }
      const at = out.length;
      if (encodeParts(units, start, end, out)) return;
      out.length = at;
      whole.encode(units, start, end, out);
    },
  };
}

/** By two units: 1 where a token holds them side by side, or neither is a token. */
function joinsOf(vocabulary: Vocabulary): Uint8Array {
  const joins = new Uint8Array(UNITS * UNITS);
  const strangers = Array.from({ length: UNITS }, (_, unit) => unit).filter(
    (unit) => !vocabulary.has(String.fromCharCode(unit)),
  );
  for (const unit of strangers) for (const other of strangers) joins[(unit << 8) | other] = 1;
  const { units, starts } = vocabulary.entries;
  for (let entry = 0; entry < vocabulary.size; entry++) {
    for (let i = starts[entry]! + 1; i < starts[entry + 1]!; i++) {
      const last = units[i - 1]!;
      const unit = units[i]!;
      if ((last | unit) < UNITS) joins[(last << 8) | unit] = 1;
    }
  }
  return joins;
}
