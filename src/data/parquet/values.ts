/** Where the values of a column chunk go while its pages are read: numbers into a typed array, bytes into one block. */
import { TenonError } from "../../base/index.js";
import type { ColumnMemory } from "../workspace.js";
import { readDeltaLengths, readDeltaStrings, readDeltas } from "./delta.js";
import { readHybrid } from "./hybrid.js";
import { ENCODING } from "./page.js";
import { invalid } from "./thrift.js";

/** Collects values; `read` appends `count` of them from the bytes of a page. */
export interface Values {
  /** Values so far. */
  readonly length: number;
  read(encoding: number, bytes: Uint8Array, start: number, end: number, count: number): void;
  /** Keeps what was collected so far as the dictionary, and starts anew. */
  keepDictionary(): void;
  /** Moves the last `count` values apart so that they lie where `levels` is `max`; the rest is null. */
  spread(count: number, levels: Uint8Array, max: number): void;
}

/** More decoded bytes of one column in one row group than this are refused. */
const MAX_BYTES = 2 ** 30;

export type Word = "BOOLEAN" | "INT32" | "INT64" | "INT96" | "FLOAT" | "DOUBLE" | "HALF";

const WIDTHS: Readonly<Record<Word, number>> = {
  BOOLEAN: 1,
  INT32: 4,
  FLOAT: 4,
  INT64: 8,
  DOUBLE: 8,
  INT96: 8,
  HALF: 2,
};
const SPLITTABLE: ReadonlySet<Word> = new Set<Word>(["INT32", "INT64", "FLOAT", "DOUBLE", "HALF"]);

/** Room in front of the values, for the levels of a page that is decompressed in place. */
const BEFORE = 64;

export class WordValues implements Values {
  readonly #word: Word;
  readonly #width: number;
  #bytes: Uint8Array;
  #dictionary: { readonly bytes: Uint8Array; readonly length: number } | undefined;
  #indices: Uint32Array = new Uint32Array(0);
  length = 0;

  readonly #memory: ColumnMemory;

  /** Room for `capacity` values from the start; it grows when there are more. */
  constructor(word: Word, capacity: number, memory: ColumnMemory) {
    this.#word = word;
    this.#width = WIDTHS[word];
    this.#memory = memory;
    this.#bytes = this.#take(capacity);
  }

  #take(capacity: number): Uint8Array {
    const size = checkedSize(capacity * this.#width);
    return size === 0 ? new Uint8Array(0) : this.#memory.take(size + BEFORE).subarray(BEFORE);
  }

  /** Bytes of a value of a plain page, where those are the values' own; else 0. */
  get plainWidth(): number {
    return this.#word === "BOOLEAN" || this.#word === "INT96" ? 0 : this.#width;
  }

  /** Memory of the next `count` values, with `before` bytes in front of it, which must be kept. */
  room(count: number, before: number): Uint8Array {
    this.#reserve(count);
    const at = this.offset + this.length * this.#width - before;
    return new Uint8Array(this.buffer, at, before + count * this.#width);
  }

  /** Counts values that were written into `room`. */
  advance(count: number): void {
    this.length += count;
  }

  /** The memory of the values: `length` of them, from `offset` bytes on. */
  get buffer(): ArrayBuffer {
    return this.#bytes.buffer as ArrayBuffer;
  }

  get offset(): number {
    return this.#bytes.byteOffset;
  }

  /** All memory as words of 2, 4 or 8 bytes. */
  #words(): Uint8Array | Uint16Array | Uint32Array | Float64Array {
    return wordsOf(this.#bytes, this.#width);
  }

  #reserve(count: number): void {
    const wanted = (this.length + count) * this.#width;
    if (wanted <= this.#bytes.length) return;
    const larger = allocate(BEFORE + Math.max(wanted, Math.min(MAX_BYTES - BEFORE, 2 * this.#bytes.length)));
    larger.set(this.#bytes, BEFORE);
    this.#bytes = larger.subarray(BEFORE);
  }

  read(encoding: number, bytes: Uint8Array, start: number, end: number, count: number): void {
    this.#reserve(count);
    switch (encoding) {
      case ENCODING.plain:
        this.#plain(bytes, start, end, count);
        break;
      case ENCODING.plainDictionary:
      case ENCODING.rleDictionary:
        this.#lookUp(bytes, start, end, count);
        break;
      case ENCODING.rle:
        if (this.#word !== "BOOLEAN" || start + 4 > end) throw unreadable(encoding, this.#word);
        readHybrid(bytes, start + 4, end, 1, count, this.#bytes, this.length);
        break;
      case ENCODING.deltaBinaryPacked:
        this.#deltas(bytes, start, end, count);
        break;
      case ENCODING.byteStreamSplit:
        this.#joinStreams(bytes, start, end, count);
        break;
      default:
        throw unreadable(encoding, this.#word);
    }
    this.length += count;
  }

  #plain(bytes: Uint8Array, start: number, end: number, count: number): void {
    const out = this.#bytes;
    if (this.#word === "BOOLEAN") {
      if (start + Math.ceil(count / 8) > end) throw invalid("values are cut off");
      const at = this.length;
      for (let i = 0; i < count; i++) out[at + i] = (bytes[start + (i >> 3)]! >> (i & 7)) & 1;
      return;
    }
    if (this.#word === "INT96") {
      if (start + 12 * count > end) throw invalid("values are cut off");
      nanosecondsOf(bytes, start, new BigInt64Array(this.buffer, this.offset + 8 * this.length, count));
      return;
    }
    const size = count * this.#width;
    if (start + size > end) throw invalid("values are cut off");
    out.set(bytes.subarray(start, start + size), this.length * this.#width);
  }

  #lookUp(bytes: Uint8Array, start: number, end: number, count: number): void {
    const dictionary = this.#dictionary;
    const indices = readIndices(bytes, start, end, count, this.#indices, dictionary?.length);
    this.#indices = indices;
    if (count === 0 || dictionary === undefined) return;
    const from = wordsOf(dictionary.bytes, this.#width);
    const to = this.#words();
    const at = this.length;
    // One width, one type of array on both sides; each is a loop of its own.
    if (from instanceof Uint32Array) gather(from, indices, to as Uint32Array, at, count);
    else if (from instanceof Float64Array) gather(from, indices, to as Float64Array, at, count);
    else if (from instanceof Uint16Array) gather(from, indices, to as Uint16Array, at, count);
    else gather(from, indices, to as Uint8Array, at, count);
  }

  #deltas(bytes: Uint8Array, start: number, end: number, count: number): void {
    if (this.#word !== "INT32" && this.#word !== "INT64")
      throw unreadable(ENCODING.deltaBinaryPacked, this.#word);
    const wide = this.#word === "INT64";
    const target = new Uint32Array(this.buffer, this.offset, this.#bytes.length >> 2);
    readDeltas(bytes, start, end, count, () => ({ target, at: this.length * (wide ? 2 : 1), wide }));
  }

  /** BYTE_STREAM_SPLIT: first bytes of all values, then all second bytes, and so on. */
  #joinStreams(bytes: Uint8Array, start: number, end: number, count: number): void {
    if (!SPLITTABLE.has(this.#word)) throw unreadable(ENCODING.byteStreamSplit, this.#word);
    const width = this.#width;
    if (start + count * width > end) throw invalid("values are cut off");
    const out = this.#bytes;
    const at = this.length * width;
    for (let stream = 0; stream < width; stream++) {
      const from = start + stream * count;
      for (let i = 0, o = at + stream; i < count; i++, o += width) out[o] = bytes[from + i]!;
    }
  }

  keepDictionary(): void {
    this.#dictionary = { bytes: this.#bytes, length: this.length };
    this.#bytes = new Uint8Array(0);
    this.length = 0;
  }

  /** Sizes the memory anew, after the dictionary was read. */
  reserve(capacity: number): void {
    this.#bytes = this.#take(capacity);
  }

  spread(count: number, levels: Uint8Array, max: number): void {
    const total = levels.length;
    this.#reserve(total - count);
    const from = this.length - count;
    const words = this.#words();
    let source = from + count - 1;
    for (let i = total - 1; i >= 0; i--) words[from + i] = levels[i] === max ? words[source--]! : 0;
    this.length = from + total;
  }
}

/** Bytes as words; a byte each where the width is none of theirs. */
function wordsOf(bytes: Uint8Array, width: number): Uint8Array | Uint16Array | Uint32Array | Float64Array {
  const { buffer, byteOffset, length } = bytes;
  if (width === 4) return new Uint32Array(buffer, byteOffset, length >> 2);
  if (width === 8) return new Float64Array(buffer, byteOffset, length >> 3);
  return width === 2 ? new Uint16Array(buffer, byteOffset, length >> 1) : bytes;
}

function checkedSize(size: number): number {
  if (size > MAX_BYTES) {
    throw new TenonError("FILE_INVALID", {
      problem: "a column of one row group is too large to be read at once",
      given: `${size} bytes`,
      expected: `at most ${MAX_BYTES}`,
      do: "write the file with smaller row groups",
    });
  }
  return size;
}

function allocate(size: number): Uint8Array {
  // Whole 8-byte words, so that any view fits.
  return new Uint8Array(Math.ceil(checkedSize(size) / 8) * 8);
}

function gather<A extends Uint8Array | Uint16Array | Uint32Array | Float64Array>(
  from: A,
  indices: Uint32Array,
  to: A,
  at: number,
  count: number,
): void {
  for (let i = 0; i < count; i++) to[at + i] = from[indices[i]!]!;
}

/** Indices into the dictionary, each below its `size`; `memory` is used again where it is large enough. */
function readIndices(
  bytes: Uint8Array,
  start: number,
  end: number,
  count: number,
  memory: Uint32Array,
  size: number | undefined,
): Uint32Array {
  if (count === 0) return memory;
  if (size === undefined) throw invalid("a page needs a dictionary that is not there");
  if (start >= end) throw invalid("values are cut off");
  const indices = memory.length >= count ? memory : new Uint32Array(count);
  readHybrid(bytes, start + 1, end, bytes[start]!, count, indices, 0);
  for (let i = 0; i < count; i++)
    if (indices[i]! >= size) throw invalid("an index lies outside the dictionary");
  return indices;
}

const JULIAN_EPOCH = 2_440_588n;
const DAY_NANOSECONDS = 86_400_000_000_000n;

function nanosecondsOf(bytes: Uint8Array, start: number, target: BigInt64Array): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  for (let i = 0; i < target.length; i++) {
    const at = start + 12 * i;
    target[i] =
      (BigInt(view.getUint32(at + 8, true)) - JULIAN_EPOCH) * DAY_NANOSECONDS + view.getBigInt64(at, true);
  }
}

/** Byte arrays: one block of bytes, and where each value ends. */
export class ByteValues implements Values {
  /** Bytes of every value of FIXED_LEN_BYTE_ARRAY; 0: they differ. */
  readonly #fixed: number;
  bytes: Uint8Array;
  offsets: Int32Array;
  #dictionary:
    | { readonly bytes: Uint8Array; readonly offsets: Int32Array; readonly length: number }
    | undefined;
  #indices: Uint32Array = new Uint32Array(0);
  length = 0;

  constructor(fixed: number, capacity: number) {
    this.#fixed = fixed;
    this.bytes = allocate(0);
    this.offsets = new Int32Array(allocate((capacity + 1) * 4).buffer);
  }

  #put = (source: Uint8Array, from: number, to: number): void => {
    const at = this.offsets[this.length]!;
    const size = to - from;
    this.#room(at + size);
    const { bytes } = this;
    if (size > 32) bytes.set(source.subarray(from, to), at);
    else for (let i = 0; i < size; i++) bytes[at + i] = source[from + i]!;
    this.offsets[++this.length] = at + size;
  };

  #room(size: number): void {
    if (size <= this.bytes.length) return;
    const larger = allocate(Math.max(size, Math.min(MAX_BYTES, 2 * this.bytes.length), 4096));
    larger.set(this.bytes);
    this.bytes = larger;
  }

  #reserve(count: number): void {
    if (this.length + count < this.offsets.length) return;
    const larger = new Int32Array(
      allocate(4 * Math.max(this.length + count + 1, 2 * this.offsets.length)).buffer,
    );
    larger.set(this.offsets);
    this.offsets = larger;
  }

  read(encoding: number, bytes: Uint8Array, start: number, end: number, count: number): void {
    this.#reserve(count);
    switch (encoding) {
      case ENCODING.plain:
        if (this.#fixed > 0) this.#fixedValues(bytes, start, end, count);
        else this.#plain(bytes, start, end, count);
        return;
      case ENCODING.plainDictionary:
      case ENCODING.rleDictionary:
        this.#lookUp(bytes, start, end, count);
        return;
      case ENCODING.deltaLengthByteArray:
        readDeltaLengths(bytes, start, end, count, this.#put);
        return;
      case ENCODING.deltaByteArray:
        readDeltaStrings(bytes, start, end, count, this.#put);
        return;
      case ENCODING.byteStreamSplit:
        this.#joinStreams(bytes, start, end, count);
        return;
      default:
        throw unreadable(encoding, "BYTE_ARRAY");
    }
  }

  #plain(bytes: Uint8Array, start: number, end: number, count: number): void {
    // One reservation for the whole page: its lengths take four bytes each.
    this.#room(this.offsets[this.length]! + Math.max(0, end - start - 4 * count));
    let s = start;
    for (let i = 0; i < count; i++) {
      if (s + 4 > end) throw invalid("texts are cut off");
      const size = (bytes[s]! | (bytes[s + 1]! << 8) | (bytes[s + 2]! << 16) | (bytes[s + 3]! << 24)) >>> 0;
      s += 4;
      if (s + size > end) throw invalid("texts are cut off");
      this.#put(bytes, s, s + size);
      s += size;
    }
  }

  #fixedValues(bytes: Uint8Array, start: number, end: number, count: number): void {
    const size = this.#fixed;
    if (start + size * count > end) throw invalid("values are cut off");
    for (let i = 0; i < count; i++) this.#put(bytes, start + i * size, start + (i + 1) * size);
  }

  #joinStreams(bytes: Uint8Array, start: number, end: number, count: number): void {
    const size = this.#fixed;
    if (size === 0) throw unreadable(ENCODING.byteStreamSplit, "BYTE_ARRAY");
    if (start + size * count > end) throw invalid("values are cut off");
    const value = new Uint8Array(size);
    for (let i = 0; i < count; i++) {
      for (let stream = 0; stream < size; stream++) value[stream] = bytes[start + stream * count + i]!;
      this.#put(value, 0, size);
    }
  }

  #lookUp(bytes: Uint8Array, start: number, end: number, count: number): void {
    const dictionary = this.#dictionary;
    const indices = readIndices(bytes, start, end, count, this.#indices, dictionary?.length);
    this.#indices = indices;
    if (dictionary === undefined) return;
    const { offsets } = dictionary;
    let size = 0;
    for (let i = 0; i < count; i++) size += offsets[indices[i]! + 1]! - offsets[indices[i]!]!;
    this.#room(this.offsets[this.length]! + size);
    for (let i = 0; i < count; i++)
      this.#put(dictionary.bytes, offsets[indices[i]!]!, offsets[indices[i]! + 1]!);
  }

  keepDictionary(): void {
    this.#dictionary = { bytes: this.bytes, offsets: this.offsets, length: this.length };
    this.bytes = allocate(0);
    this.offsets = new Int32Array(2);
    this.length = 0;
  }

  reserve(capacity: number): void {
    this.offsets = new Int32Array(allocate((capacity + 1) * 4).buffer);
  }

  spread(count: number, levels: Uint8Array, max: number): void {
    const total = levels.length;
    this.#reserve(total - count);
    const from = this.length - count;
    let source = count;
    for (let i = total - 1; i >= 0; i--) {
      this.offsets[from + i + 1] = this.offsets[from + source]!;
      if (levels[i] === max) source--;
    }
    this.length = from + total;
  }
}

function unreadable(encoding: number, physical: string): TenonError {
  return new TenonError("FILE_INVALID", {
    problem: "a page of the Parquet file has an encoding that does not go with its type",
    given: `encoding ${encoding} of ${physical}`,
  });
}
