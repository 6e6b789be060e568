/** LZ4's block format (lz4_Block_format.md), which Parquet calls LZ4_RAW: decompressor. */
import { invalid } from "./thrift.js";

/**
 * Decompresses `source` into `target` at `at`; returns the bytes written. Copies may refer to what lies
 * from `history` on. Throws FILE_INVALID, never writes outside.
 */
export function lz4Decompress(source: Uint8Array, target: Uint8Array, at: number, history = at): number {
  const start = at;
  const limit = source.length;
  let s = 0;
  const longer = (size: number): number => {
    if (size !== 15) return size;
    for (;;) {
      const byte = source[s++];
      if (byte === undefined) throw cut();
      size += byte;
      if (byte !== 255) return size;
    }
  };
  while (s < limit) {
    const token = source[s++]!;
    const literals = longer(token >> 4);
    if (s + literals > limit || at + literals > target.length) throw cut();
    target.set(source.subarray(s, s + literals), at);
    s += literals;
    at += literals;
    if (s === limit) break;
    if (s + 2 > limit) throw cut();
    const distance = source[s]! | (source[s + 1]! << 8);
    s += 2;
    const size = longer(token & 15) + 4;
    if (distance === 0 || distance > at - history || at + size > target.length) throw cut();
    let from = at - distance;
    for (const stop = at + size; at < stop; ) target[at++] = target[from++]!;
  }
  return at - start;
}

function cut(): Error {
  return invalid("a compressed page is cut off or does not follow LZ4's format");
}
