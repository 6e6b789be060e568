/** Parquet's hybrid of run lengths and bit packing (RLE, encoding 3): levels, dictionary indices, booleans. */
import { invalid } from "./thrift.js";

/** Decodes `count` values of `width` bits (0 to 32) from `bytes[start, end)` into `target` at `at`. */
export function readHybrid(
  bytes: Uint8Array,
  start: number,
  end: number,
  width: number,
  count: number,
  target: Uint8Array | Uint32Array,
  at: number,
): void {
  if (width > 32) throw invalid("values of more than 32 bits");
  const stop = at + count;
  if (width === 0) {
    target.fill(0, at, stop);
    return;
  }
  const valueBytes = (width + 7) >> 3;
  while (at < stop) {
    let head = 0;
    for (let shift = 0; ; shift += 7) {
      if (start >= end || shift > 28) throw invalid("a run of values is cut off");
      const byte = bytes[start++]!;
      head += (byte & 127) * 2 ** shift;
      if (byte < 128) break;
    }
    if (head % 2 === 0) {
      const length = head / 2;
      if (start + valueBytes > end || length === 0) throw invalid("a run of values is cut off");
      let value = 0;
      for (let i = 0; i < valueBytes; i++) value += bytes[start + i]! * 2 ** (8 * i);
      start += valueBytes;
      const to = Math.min(stop, at + length);
      target.fill(value, at, to);
      at = to;
      continue;
    }
    const groups = (head - 1) / 2;
    const values = Math.min(stop - at, groups * 8);
    // Writers may leave out the padding at the end of the last group.
    if (values === 0 || start + Math.ceil((values * width) / 8) > end)
      throw invalid("a run of values is cut off");
    unpack(bytes, start, width, values, target, at);
    at += values;
    start += groups * width;
  }
}

function unpack(
  bytes: Uint8Array,
  start: number,
  width: number,
  count: number,
  target: Uint8Array | Uint32Array,
  at: number,
): void {
  const stop = at + count;
  if (width === 1) {
    for (let bit = 0; at < stop; bit++) target[at++] = (bytes[start + (bit >> 3)]! >> (bit & 7)) & 1;
    return;
  }
  if (width === 8) {
    while (at < stop) target[at++] = bytes[start++]!;
    return;
  }
  if (width <= 24) {
    const mask = 2 ** width - 1;
    let buffer = 0;
    let bits = 0;
    while (at < stop) {
      while (bits < width) {
        buffer |= bytes[start++]! << bits;
        bits += 8;
      }
      target[at++] = buffer & mask;
      buffer >>>= width;
      bits -= width;
    }
    return;
  }
  for (let i = 0; at < stop; i++) {
    const bit = i * width;
    let value = 0;
    for (let done = 0; done < width; ) {
      const position = bit + done;
      const take = Math.min(8 - (position & 7), width - done);
      value += ((bytes[start + (position >> 3)]! >> (position & 7)) & (2 ** take - 1)) * 2 ** done;
      done += take;
    }
    target[at++] = value;
  }
}
