/** Parquet's delta encodings: DELTA_BINARY_PACKED of 32- and 64-bit integers, and the two of byte arrays built on it. */
import { invalid } from "./thrift.js";

/** Where a block of deltas ended, so that what follows it can be read. */
interface Decoded {
  readonly count: number;
  readonly end: number;
}

/** More values than a page can hold; a header that says more lies. */
const MAX_VALUES = 2 ** 31;

/**
 * Decodes DELTA_BINARY_PACKED at `start` into `low` (and the upper 32 bits into `high`, for 64-bit values, at every
 * `step`-th entry: the two may be one array of words). Arithmetic wraps, as the format says.
 */
export function readDeltas(
  bytes: Uint8Array,
  start: number,
  end: number,
  expected: number | undefined,
  words: (count: number) => { readonly target: Uint32Array; readonly at: number; readonly wide: boolean },
): Decoded {
  let s = start;
  const varint = (): readonly [low: number, high: number] => {
    let low = 0;
    let high = 0;
    for (let shift = 0; ; shift += 7) {
      if (s >= end || shift > 63) throw invalid("deltas are cut off");
      const byte = bytes[s++]!;
      const part = byte & 127;
      if (shift < 32) low |= part << shift;
      if (shift + 7 > 32) high |= shift >= 32 ? part << (shift - 32) : part >>> (32 - shift);
      if (byte < 128) return [low >>> 0, high >>> 0];
    }
  };
  const small = (what: string): number => {
    const [low, high] = varint();
    if (high !== 0 || low >= MAX_VALUES) throw invalid(`${what} of deltas is out of range`);
    return low;
  };
  const blockSize = small("the block size");
  const miniblocks = small("the number of miniblocks");
  const count = small("the number");
  const perMini = blockSize / miniblocks;
  if (
    !(miniblocks > 0 && perMini > 0 && perMini % 8 === 0 && Number.isInteger(perMini)) ||
    blockSize > 2 ** 20
  )
    throw invalid("deltas have an invalid block size");
  if (expected !== undefined && count !== expected)
    throw invalid("deltas differ in number from the page", `${count} for ${expected}`);
  // A miniblock of width 0 takes one byte; more values than that cannot be in these bytes.
  if (count > 1 && (count - 1) / perMini > (end - start) * miniblocks) throw invalid("deltas are cut off");
  const { target, at, wide } = words(count);
  const step = wide ? 2 : 1;
  const [firstLow, firstHigh] = varint();
  let low = ((firstLow >>> 1) | (firstHigh << 31)) ^ -(firstLow & 1);
  let high = (firstHigh >>> 1) ^ -(firstLow & 1);
  let o = at;
  const put = (): void => {
    target[o] = low;
    if (wide) target[o + 1] = high;
    o += step;
  };
  if (count === 0) return { count, end: s };
  put();
  let left = count - 1;
  while (left > 0) {
    const [minLow, minHigh] = varint();
    const baseLow = ((minLow >>> 1) | (minHigh << 31)) ^ -(minLow & 1);
    const baseHigh = (minHigh >>> 1) ^ -(minLow & 1);
    const widths = s;
    s += miniblocks;
    if (s > end) throw invalid("deltas are cut off");
    for (let mini = 0; mini < miniblocks && left > 0; mini++) {
      const width = bytes[widths + mini]!;
      if (width > (wide ? 64 : 32)) throw invalid("deltas have an invalid bit width", String(width));
      const values = Math.min(left, perMini);
      if (s + Math.ceil((values * width) / 8) > end) throw invalid("deltas are cut off");
      for (let i = 0; i < values; i++) {
        const bit = i * width;
        let deltaLow = 0;
        let deltaHigh = 0;
        for (let done = 0; done < width; ) {
          const position = bit + done;
          const take = Math.min(8 - (position & 7), width - done);
          const part = (bytes[s + (position >> 3)]! >>> (position & 7)) & ((1 << take) - 1);
          if (done < 32) {
            deltaLow |= part << done;
            if (done + take > 32) deltaHigh |= part >>> (32 - done);
          } else deltaHigh |= part << (done - 32);
          done += take;
        }
        const sum = (low >>> 0) + (deltaLow >>> 0);
        const total = (sum >>> 0) + (baseLow >>> 0);
        const carry = (sum > 0xffffffff ? 1 : 0) + (total > 0xffffffff ? 1 : 0);
        low = total | 0;
        high = (high + deltaHigh + baseHigh + carry) | 0;
        put();
      }
      left -= values;
      s += (perMini * width) / 8;
    }
  }
  return { count, end: Math.min(s, end) };
}

function readLengths(
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number | undefined,
): { lengths: Uint32Array; end: number } {
  let lengths = new Uint32Array(0);
  const decoded = readDeltas(bytes, start, end, count, (total) => {
    if (total > 2 ** 27) throw invalid("a page has too many values");
    lengths = new Uint32Array(total);
    return { target: lengths, at: 0, wide: false };
  });
  return { lengths, end: decoded.end };
}

/** Takes the values of byte arrays one after the other. */
export type PutBytes = (source: Uint8Array, from: number, to: number) => void;

/** DELTA_LENGTH_BYTE_ARRAY: all lengths, then all bytes. */
export function readDeltaLengths(
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
  put: PutBytes,
): void {
  const { lengths, end: data } = readLengths(bytes, start, end, count);
  let at = data;
  for (const length of lengths) {
    if (at + length > end) throw invalid("texts are cut off");
    put(bytes, at, at + length);
    at += length;
  }
}

/** DELTA_BYTE_ARRAY: how much of the value before each value starts with, then the rest of each. */
export function readDeltaStrings(
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
  put: PutBytes,
): void {
  const prefixes = readLengths(bytes, start, end, count);
  const suffixes = readLengths(bytes, prefixes.end, end, count);
  let at = suffixes.end;
  let last = new Uint8Array(256);
  let lastLength = 0;
  for (let i = 0; i < count; i++) {
    const prefix = prefixes.lengths[i]!;
    const suffix = suffixes.lengths[i]!;
    if (prefix > lastLength || at + suffix > end) throw invalid("texts are cut off");
    if (prefix + suffix > last.length) {
      const larger = new Uint8Array(2 * (prefix + suffix));
      larger.set(last.subarray(0, prefix));
      last = larger;
    }
    last.set(bytes.subarray(at, at + suffix), prefix);
    lastLength = prefix + suffix;
    at += suffix;
    put(last, 0, lastLength);
  }
}
