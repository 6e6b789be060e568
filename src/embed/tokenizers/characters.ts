/** Classes of characters as the reference tokenizers see them, looked up by UTF-16 unit or code point. */
import { RUN_FLAGS, RUNS } from "./character-runs.js";

export const LETTER = 1;
export const NUMBER = 2;
/** The property White_Space, which is not JavaScript's `\s`: U+0085 is in, U+FEFF is out. */
export const SPACE = 4;
/** ASCII punctuation and symbols, and the categories P*. */
export const PUNCTUATION = 8;
/** The category Mn. */
export const NONSPACING = 16;
/** The categories Cc, Cf and Co. */
export const OTHER = 32;
/** Characters that BERT sets apart as words of their own. */
export const IDEOGRAPH = 64;
/** Characters of words: alphabetic, marks, decimal digits, connectors and joiners. */
export const WORD = 128;

/** The code points at which a run begins, and the flags of each; the flags of every unit. */
interface Classes {
  readonly starts: Int32Array;
  readonly flags: Uint8Array;
  readonly units: Uint8Array;
}

let made: Classes | undefined;

function classesMade(): Classes {
  const runs = [...RUNS.matchAll(/([0-9a-z]*)([A-Z])/g)];
  const starts = new Int32Array(runs.length);
  const flags = new Uint8Array(runs.length);
  const units = new Uint8Array(65536);
  let at = 0;
  runs.forEach(([, count, letter], run) => {
    starts[run] = at;
    flags[run] = RUN_FLAGS[letter!.charCodeAt(0) - 0x41]!;
    const end = at + (count === "" ? 1 : Number.parseInt(count!, 36));
    units.fill(flags[run]!, at, end);
    at = end;
  });
  return { starts, flags, units };
}

/** Flags of every UTF-16 unit; surrogates have none. */
export function classes(): Uint8Array {
  made ??= classesMade();
  return made.units;
}

/** Flags of a code point. */
export function classOf(codePoint: number): number {
  made ??= classesMade();
  if (codePoint < 65536) return made.units[codePoint]!;
  const { starts, flags } = made;
  let low = 0;
  let high = starts.length;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (starts[middle]! <= codePoint) low = middle;
    else high = middle;
  }
  return flags[low]!;
}
