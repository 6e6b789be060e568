/** Pages of a column chunk: headers, checksums, levels and the bytes of the values. */
import { crc32 } from "node:zlib";
import { TenonError } from "../../base/index.js";
import { decompressPage } from "./codec.js";
import { type ChunkMeta, count, struct } from "./footer.js";
import { readHybrid } from "./hybrid.js";
import type { Leaf } from "./leaf.js";
import { invalid, readThrift, type ThriftValue } from "./thrift.js";

/** Codes of `Encoding` in parquet.thrift. */
export const ENCODING = {
  plain: 0,
  plainDictionary: 2,
  rle: 3,
  bitPacked: 4,
  deltaBinaryPacked: 5,
  deltaLengthByteArray: 6,
  deltaByteArray: 7,
  rleDictionary: 8,
  byteStreamSplit: 9,
} as const;

/** Largest page that is decompressed; writers make pages of about 1 MiB. */
const MAX_PAGE_BYTES = 2 ** 29;
/** Most values of one page. */
const MAX_PAGE_VALUES = 2 ** 28;

/** What a page's header says. */
export interface PageHead {
  readonly kind: "data" | "dataV2" | "dictionary" | "other";
  readonly encoding: number;
  /** Values in the page, nulls and empty lists counted too. */
  readonly values: number;
  /** Bytes when decompressed. */
  readonly size: number;
  readonly compressedSize: number;
  /** Of the compressed bytes, where the header has it. */
  readonly checksum: number | undefined;
  /** Version 2: bytes of the levels, which lie before the compressed part. */
  readonly levelBytes: readonly [repetition: number, definition: number];
  readonly isCompressed: boolean;
  /** Where the header ends. */
  readonly end: number;
}

export interface PageHeader extends PageHead {
  readonly compressed: Uint8Array;
  /** Where the next page's header starts. */
  readonly next: number;
}

const KINDS: readonly PageHead["kind"][] = ["data", "other", "dictionary", "dataV2"];

/** The page whose header starts at `at`. Checks sizes, and the checksum where there is one. */
export function readPage(bytes: Uint8Array, at: number): PageHeader {
  const head = readPageHead(bytes, at);
  const { end, compressedSize, checksum } = head;
  const next = end + compressedSize;
  if (next > bytes.length) throw invalid("a page is cut off", `${compressedSize} bytes`);
  const compressed = bytes.subarray(end, next);
  if (checksum !== undefined && crc32(compressed) !== checksum)
    throw invalid("the checksum of a page is wrong");
  return { ...head, compressed, next };
}

/** The header that starts at `at`, checked by itself. Throws FILE_INVALID, also where `bytes` end before it does. */
export function readPageHead(bytes: Uint8Array, at: number): PageHead {
  // Of statistics, which are texts, the footer has what is wanted.
  const { value: head, end } = readThrift(bytes, at, false);
  const kind = KINDS[count(head[1], "page type")] ?? "other";
  const size = count(head[2], "page size");
  const compressedSize = count(head[3], "page size");
  if (size > MAX_PAGE_BYTES) {
    throw new TenonError("FILE_INVALID", {
      problem: "a page of the Parquet file is too large",
      given: `${size} bytes`,
      expected: `at most ${MAX_PAGE_BYTES}`,
    });
  }
  const checksum = typeof head[4] === "number" ? head[4] >>> 0 : undefined;
  const common = { kind, size, compressedSize, checksum, end };
  if (kind === "dataV2") {
    const v2 = struct(head[8], "page header");
    const levelBytes = [optional(v2[6]), optional(v2[5])] as const;
    if (levelBytes[0] + levelBytes[1] > Math.min(compressedSize, size))
      throw invalid("a page is shorter than its levels");
    return {
      ...common,
      encoding: count(v2[4], "encoding"),
      values: pageValues(v2[1]),
      levelBytes,
      isCompressed: v2[7] !== false,
    };
  }
  const none = { levelBytes: [0, 0] as const, isCompressed: true };
  if (kind === "other") return { ...common, ...none, encoding: -1, values: 0 };
  const header = struct(head[kind === "data" ? 5 : 7], "page header");
  if (kind === "data" && (header[3] === ENCODING.bitPacked || header[4] === ENCODING.bitPacked))
    throw invalid("levels are bit-packed, a form that was given up");
  return { ...common, ...none, encoding: count(header[2], "encoding"), values: pageValues(header[1]) };
}

function pageValues(value: ThriftValue | undefined): number {
  const values = count(value, "number of values");
  if (values > MAX_PAGE_VALUES) throw invalid("a page has too many values", String(values));
  return values;
}

function optional(value: unknown): number {
  return typeof value === "number" && value >= 0 ? value : 0;
}

/** Definition levels of a page: null when every value is there. */
export type Levels = Uint8Array | null;

/** A data page, decompressed: values lie in `bytes[start, end)`. */
export interface PageData {
  readonly bytes: Uint8Array;
  readonly start: number;
  readonly end: number;
  readonly definition: Levels;
  readonly repetition: Levels;
}

/** Memory for decompressed pages, used again for each page. */
export class PageScratch {
  #bytes = new Uint8Array(0);

  /** At least `size` bytes, valid until the next call. */
  take(size: number): Uint8Array {
    if (this.#bytes.length < size) this.#bytes = new Uint8Array(Math.max(size, 65_536));
    return this.#bytes;
  }
}

export function openPage(page: PageHeader, meta: ChunkMeta, leaf: Leaf, scratch: PageScratch): PageData {
  const v2 = page.kind === "dataV2";
  const before = v2 ? page.levelBytes[0] + page.levelBytes[1] : 0;
  const packed = page.compressed.subarray(before);
  const size = page.size - before;
  let bytes = packed;
  if (meta.codec !== "UNCOMPRESSED" && page.isCompressed) {
    bytes = scratch.take(size);
    if (size > 0) decompressPage(meta.codec, packed, size, bytes, 0);
  } else if (packed.length !== size) throw invalid("a page has another size than its header says");
  let start = 0;
  let repetition: Levels = null;
  let definition: Levels = null;
  const levels = (source: Uint8Array, from: number, to: number, max: number): Levels =>
    readLevels(source, from, to, max, page.values);
  if (v2) {
    const [r, d] = page.levelBytes;
    if (leaf.lists.length > 0)
      repetition = levelsOrZero(
        levels(page.compressed, 0, r, leaf.lists.length),
        leaf.lists.length,
        page.values,
      );
    if (leaf.maxDefinition > 0) definition = levels(page.compressed, r, r + d, leaf.maxDefinition);
    return { bytes, start, end: size, definition, repetition };
  }
  const prefixed = (max: number): Levels => {
    if (start + 4 > size) throw invalid("a page is shorter than its levels");
    const length =
      (bytes[start]! | (bytes[start + 1]! << 8) | (bytes[start + 2]! << 16) | (bytes[start + 3]! << 24)) >>>
      0;
    start += 4;
    if (start + length > size) throw invalid("a page is shorter than its levels");
    const read = levels(bytes, start, start + length, max);
    start += length;
    return read;
  };
  if (leaf.lists.length > 0)
    repetition = levelsOrZero(prefixed(leaf.lists.length), leaf.lists.length, page.values);
  if (leaf.maxDefinition > 0) definition = prefixed(leaf.maxDefinition);
  return { bytes, start, end: size, definition, repetition };
}

/**
 * Decompresses a page of plain values that are all there straight to where they belong; false, with nothing changed,
 * where the page is another. `room` gives the memory of `count` values with so many bytes before it, which are kept.
 */
export function openInPlace(
  page: PageHeader,
  meta: ChunkMeta,
  leaf: Leaf,
  width: number,
  room: (count: number, before: number) => Uint8Array,
): boolean {
  const { kind, values, size, compressed, levelBytes, isCompressed } = page;
  if (page.encoding !== ENCODING.plain || meta.codec === "UNCOMPRESSED" || !isCompressed || values === 0)
    return false;
  const max = leaf.maxDefinition;
  if (kind === "dataV2") {
    const [repetition, definition] = levelBytes;
    const levels = repetition + definition;
    if (size - levels !== values * width) return false;
    if (max > 0 && !isOneRun(compressed, repetition, levels, max, values)) return false;
    if (values > 0)
      decompressPage(meta.codec, compressed.subarray(levels), values * width, room(values, 0), 0);
    return true;
  }
  // Levels of one run: their length, the run's header, the level.
  const before = max === 0 ? 0 : 5 + varintBytes(2 * values);
  if (size !== before + values * width) return false;
  const target = room(values, before);
  const kept = target.slice(0, before);
  decompressPage(meta.codec, compressed, size, target, 0);
  const whole =
    before === 0 ||
    (target[0] === before - 4 &&
      target[1] === 0 &&
      target[2] === 0 &&
      target[3] === 0 &&
      isOneRun(target, 4, before, max, values));
  target.set(kept);
  return whole;
}

function varintBytes(value: number): number {
  let bytes = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) bytes++;
  return bytes;
}

/** `null` of `readLevels` means all at the maximum; repetition levels are wanted in full. */
function levelsOrZero(levels: Levels, max: number, values: number): Uint8Array {
  return levels ?? new Uint8Array(values).fill(max);
}

/** Levels from 0 to `max`; null when all are `max`, which one run tells. */
function readLevels(bytes: Uint8Array, start: number, end: number, max: number, values: number): Levels {
  const width = 32 - Math.clz32(max);
  if (isOneRun(bytes, start, end, max, values)) return null;
  const levels = new Uint8Array(values);
  readHybrid(bytes, start, end, width, values, levels, 0);
  for (let i = 0; i < values; i++) if (levels[i]! > max) throw invalid("a level is out of range");
  return levels;
}

function isOneRun(bytes: Uint8Array, start: number, end: number, max: number, values: number): boolean {
  let head = 0;
  for (let shift = 0; shift <= 28; shift += 7) {
    if (start >= end) return false;
    const byte = bytes[start++]!;
    head += (byte & 127) * 2 ** shift;
    if (byte < 128) return head % 2 === 0 && head / 2 >= values && start < end && bytes[start] === max;
  }
  return false;
}
