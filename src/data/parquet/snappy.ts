/** Snappy's raw block format (google/snappy, format_description.txt): decompressor and a fast compressor. */
import { BLOCK, HASH_BITS, HASH_FACTOR } from "./snappy-kernels.js";
import { compressByKernel, decompressByKernel, mostCompressed } from "./snappy-memory.js";
import { invalid } from "./thrift.js";

/** Literals from here on are copied by the platform, shorter ones by a loop. */
const LONG = 48;
/** Elements other than long literals that are read here; where there are more, the kernel starts anew. */
const PROBE = 64;

/**
 * Decompresses `source` into `target` at `at`; returns the bytes written. Throws FILE_INVALID, never writes outside.
 * `byKernel` is tried on data of short elements.
 */
export function snappyDecompress(
  source: Uint8Array,
  target: Uint8Array,
  at: number,
  byKernel: typeof decompressByKernel = decompressByKernel,
): number {
  const start = at;
  let s = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = source[s++];
    if (byte === undefined || shift > 28) throw invalid("a compressed page has no length");
    length += (byte & 127) * 2 ** shift;
    if (byte < 128) break;
  }
  const end = at + length;
  if (end > target.length) throw invalid("a compressed page is larger than its header says");
  const limit = source.length;
  const first = s;
  let short = 0;
  let tried = false;
  while (s < limit) {
    if (short >= PROBE && !tried) {
      tried = true;
      if (byKernel(source.subarray(first), length, target, start)) return length;
    }
    const tag = source[s++]!;
    if ((tag & 3) === 0) {
      let size = tag >> 2;
      if (size >= 60) {
        const bytes = size - 59;
        if (s + bytes > limit) throw cut();
        size = source[s]!;
        for (let i = 1; i < bytes; i++) size += source[s + i]! * 2 ** (8 * i);
        s += bytes;
      }
      size++;
      if (s + size > limit || at + size > end) throw cut();
      if (size >= LONG) {
        target.set(source.subarray(s, s + size), at);
        s += size;
        at += size;
      } else {
        short++;
        for (const stop = s + size; s < stop; ) target[at++] = source[s++]!;
      }
      continue;
    }
    let size: number;
    let distance: number;
    if ((tag & 3) === 1) {
      if (s >= limit) throw cut();
      size = ((tag >> 2) & 7) + 4;
      distance = ((tag >> 5) << 8) | source[s++]!;
    } else if ((tag & 3) === 2) {
      if (s + 2 > limit) throw cut();
      size = (tag >> 2) + 1;
      distance = source[s]! | (source[s + 1]! << 8);
      s += 2;
    } else {
      if (s + 4 > limit) throw cut();
      size = (tag >> 2) + 1;
      distance = (source[s]! | (source[s + 1]! << 8) | (source[s + 2]! << 16) | (source[s + 3]! << 24)) >>> 0;
      s += 4;
    }
    if (distance === 0 || distance > at - start || at + size > end) throw cut();
    short++;
    let from = at - distance;
    for (const stop = at + size; at < stop; ) target[at++] = target[from++]!;
  }
  if (at !== end) throw cut();
  return length;
}

function cut(): Error {
  return invalid("a compressed page is cut off or does not follow Snappy's format");
}

const table = new Uint16Array(1 << HASH_BITS);

/** Compresses; the result depends on the input alone, so equal inputs give equal bytes. */
export function snappyCompress(source: Uint8Array): Uint8Array {
  const head: number[] = [];
  for (let rest = source.length; ; rest = Math.floor(rest / 128)) {
    head.push(rest >= 128 ? (rest % 128) | 128 : rest);
    if (rest < 128) break;
  }
  return compressByKernel(source, head) ?? compressInScript(source, head);
}

/** What the kernel gives, where it cannot run. */
export function compressInScript(source: Uint8Array, head: readonly number[]): Uint8Array {
  const target = new Uint8Array(head.length + mostCompressed(source.length));
  target.set(head);
  let at = head.length;
  for (let start = 0; start < source.length; start += BLOCK)
    at = compressBlock(source, start, Math.min(source.length, start + BLOCK), target, at);
  return target.subarray(0, at);
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function compressBlock(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  at: number,
): number {
  table.fill(0);
  let literal = start;
  let s = start + 1;
  // Steps grow while nothing matches, so that incompressible data costs little.
  let misses = 32;
  while (s + 4 <= end) {
    const value = word(source, s);
    const hash = Math.imul(value, HASH_FACTOR) >>> (32 - HASH_BITS);
    const candidate = start + table[hash]!;
    table[hash] = s - start;
    if (candidate >= s || word(source, candidate) !== value) {
      s += misses++ >> 5;
      continue;
    }
    misses = 32;
    at = emitLiteral(source, literal, s, target, at);
    let length = 4;
    while (s + length < end && source[candidate + length] === source[s + length]) length++;
    at = emitCopy(s - candidate, length, target, at);
    s += length;
    literal = s;
  }
  return emitLiteral(source, literal, end, target, at);
}

function emitLiteral(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): number {
  const size = to - from;
  if (size === 0) return at;
  if (size <= 60) target[at++] = (size - 1) << 2;
  else if (size <= 256) {
    target[at++] = 60 << 2;
    target[at++] = size - 1;
  } else {
    target[at++] = 61 << 2;
    target[at++] = (size - 1) & 255;
    target[at++] = (size - 1) >> 8;
  }
  target.set(source.subarray(from, to), at);
  return at + size;
}

function emitCopy(distance: number, length: number, target: Uint8Array, at: number): number {
  while (length > 0) {
    const size = Math.min(64, length);
    target[at++] = ((size - 1) << 2) | 2;
    target[at++] = distance & 255;
    target[at++] = distance >> 8;
    length -= size;
  }
  return at;
}
