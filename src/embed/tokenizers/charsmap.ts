/** The compiled character map of SentencePiece: a Darts-clone double array from UTF-8 prefixes to replacements. */
import type { Line, Normalizer } from "./line.js";
import { invalid } from "./parts.js";
import { Rewriting } from "./rewriting.js";
import { DROPPED, NEIGHBOURS } from "./unit-rules.js";

/** Clusters of at least so many bytes are looked up a code point at a time. */
const LONG_CLUSTER = 6;

const UNKNOWN = 0;
const SAME = 1;

/** A normaliser from the base64 text of a `precompiled_charsmap`. */
export function charsmap(base64: string): Normalizer {
  const bytes = Buffer.from(base64, "base64");
  if (bytes.length < 4) throw invalid("the character map is cut off");
  const size = bytes.readUInt32LE(0);
  if (size % 4 !== 0 || size === 0 || 4 + size > bytes.length) throw invalid("the character map is damaged");
  const array = new Uint32Array(size / 4);
  for (let i = 0; i < array.length; i++) array[i] = bytes.readUInt32LE(4 + 4 * i);
  const texts = bytes.subarray(4 + size);

  /** What the shortest known prefix of `text` becomes; undefined without one. */
  const lookUp = (text: string): string | undefined => {
    let at = offsetOf(array[0]!);
    for (const byte of Buffer.from(text)) {
      if (byte === 0) break;
      at = (at ^ byte) >>> 0;
      const unit = array[at];
      if (unit === undefined || (unit & 0x800000ff) !== byte) return undefined;
      at = (at ^ offsetOf(unit)) >>> 0;
      if ((unit >>> 8) & 1) {
        const start = (array[at] ?? 0) & 0x7fffffff;
        const end = texts.indexOf(0, start);
        return texts.toString("utf8", start, end === -1 ? texts.length : end);
      }
    }
    return undefined;
  };

  // By unit, for clusters of one code point: not known yet, unchanged, or 2 + an index into `made`.
  const single = new Uint16Array(65536);
  const made: string[] = [];
  const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });
  const alone = breakSafe();

  const putPoint = (source: Line, at: number, size: number, out: Line): void => {
    const unit = source.units[at]!;
    if (size === 1) {
      let known = single[unit]!;
      if (known === UNKNOWN) {
        const text = lookUp(String.fromCharCode(unit));
        known = text === undefined ? SAME : 1 + made.push(text);
        single[unit] = known;
      }
      if (known === SAME) out.put(unit, source, at, at + 1);
      else out.replace(made[known - 2]!, source, at, at + 1);
      return;
    }
    const text = lookUp(source.text(at, at + size));
    if (text === undefined) out.copy(source, at, at + size);
    else out.replace(text, source, at, at + size);
  };

  const putClusters = (source: Line, start: number, end: number, out: Line): void => {
    for (const { segment, index } of segmenter.segment(source.text(start, end))) {
      const at = start + index;
      if (Buffer.byteLength(segment) < LONG_CLUSTER) {
        const text = lookUp(segment);
        if (text !== undefined) {
          out.replace(text, source, at, at + segment.length);
          continue;
        }
      }
      for (let i = 0; i < segment.length; ) {
        const size = (segment.charCodeAt(i) & 0xfc00) === 0xd800 ? 2 : 1;
        putPoint(source, at + i, size, out);
        i += size;
      }
    }
  };

  const aligned = (source: Line, out: Line): void => {
    const rewriting = new Rewriting();
    for (const { segment } of segmenter.segment(source.text())) {
      const whole = Buffer.byteLength(segment) < LONG_CLUSTER ? lookUp(segment) : undefined;
      if (whole !== undefined) rewriting.replace(whole, [...segment].length);
      else
        for (const character of segment) {
          const text = lookUp(character);
          if (text === undefined) rewriting.put(character, 0);
          else rewriting.replace(text, 1);
        }
    }
    rewriting.write(source, 0, out);
  };

  const normalizer: Normalizer = (source, out) => {
    if (out.aligned) {
      aligned(source, out);
      return;
    }
    const { units, length } = source;
    out.reserve(length + 16);
    for (let i = 0; i < length; ) {
      // Most text: characters that stay as they are and join none.
      const from = i;
      while (i + 1 < length && single[units[i]!] === SAME && alone[units[i]!] && alone[units[i + 1]!]) i++;
      if (i > from) out.copy(source, from, i);
      if (alone[units[i]!] && (i + 1 === length || alone[units[i + 1]!])) {
        putPoint(source, i++, 1, out);
        continue;
      }
      // To the next place where a cluster surely ends.
      let end = i + 1;
      while (end < length && !(alone[units[end - 1]!] && alone[units[end]!])) end++;
      putClusters(source, i, end, out);
      i = end;
    }
  };
  return Object.assign(normalizer, {
    unit(unit: number): number {
      if (!alone[unit] || (unit & 0xf800) === 0xd800) return NEIGHBOURS;
      const text = lookUp(String.fromCharCode(unit)) ?? String.fromCharCode(unit);
      if (text === "") return DROPPED;
      return text.length === 1 ? text.charCodeAt(0) : NEIGHBOURS;
    },
  });
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

let safe: Uint8Array | undefined;

/** 1 for units that never join a cluster with another such unit. */
function breakSafe(): Uint8Array {
  if (safe !== undefined) return safe;
  const table = new Uint8Array(65536);
  let all = "";
  for (let i = 0; i < 65536; i++) all += String.fromCharCode((i & 0xf800) === 0xd800 ? 0 : i);
  for (const run of all.matchAll(/[\p{L}\p{N}\p{P}\p{S}\p{Zs}]+/gu))
    table.fill(1, run.index, run.index + run[0].length);
  // Controls end a cluster on both sides, but for the line feed after a carriage return.
  table.fill(1, 0, 0x0d);
  table.fill(1, 0x0e, 0x20);
  table.fill(1, 0x7f, 0xa0);
  for (const run of all.matchAll(/[\p{Grapheme_Extend}\p{M}]+/gu))
    table.fill(0, run.index, run.index + run[0].length);
  // Prepended marks and Indic conjuncts, Thai and Lao vowels, Hangul letters.
  for (const [first, last] of [
    [0x600, 0x605],
    [0x6dd, 0x70f],
    [0x890, 0xfff],
    [0x1000, 0x11ff],
    [0xa960, 0xa97f],
    [0xd7b0, 0xd7ff],
  ] as const)
    table.fill(0, first, last + 1);
  safe = table;
  return table;
}
