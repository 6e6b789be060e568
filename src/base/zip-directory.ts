/** The directory of a zip archive (PKWARE APPNOTE 6.3, with 64-bit fields): what it holds and where, without reading it. */
import { TenonError } from "./errors.js";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const END_SIZE = 22;
const END64_SIZE = 56;
const LOCATOR_SIZE = 20;
const LOCAL_SIZE = 30;
const CENTRAL_SIZE = 46;
const MAX_UINT16 = 0xffff;
const MAX_UINT32 = 0xffffffff;

/** Random access to the bytes of an archive. */
export interface ByteSource {
  readonly size: number;
  bytes(offset: number, length: number): Uint8Array;
}

/** One entry, as the central directory tells; local headers are only compared with it. */
export interface ZipRecord {
  readonly name: string;
  readonly flags: number;
  /** 0 stored, 8 deflated. */
  readonly method: number;
  readonly crc: number;
  readonly packedSize: number;
  readonly size: number;
  /** Offset of the local header. */
  readonly local: number;
  /** Where the next entry, or the directory, begins: the data ends there at the latest. */
  readonly limit: number;
}

export interface ZipDirectoryOptions {
  /** Most entries. Default: as many as the format holds. */
  readonly maxEntries?: number;
}

function damaged(problem: string): TenonError {
  return new TenonError("FILE_INVALID", { problem: `damaged zip archive: ${problem}` });
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/**
 * The entries of an archive in the directory's order. Throws FILE_INVALID for archives that are truncated, split or
 * contradict themselves, for entries that overlap and for names that occur twice.
 */
export function readZipDirectory(source: ByteSource, options: ZipDirectoryOptions = {}): ZipRecord[] {
  const directory = findDirectory(source);
  if (directory.count > (options.maxEntries ?? Number.POSITIVE_INFINITY)) {
    throw new TenonError("FILE_INVALID", {
      problem: "the zip archive has too many entries",
      given: String(directory.count),
      expected: `at most ${options.maxEntries}`,
    });
  }
  const bytes = source.bytes(directory.offset, directory.size);
  const view = viewOf(bytes);
  const records: { -readonly [K in keyof ZipRecord]: ZipRecord[K] }[] = [];
  const names = new Set<string>();
  let at = 0;
  for (let i = 0; i < directory.count; i++) {
    if (at + CENTRAL_SIZE > bytes.length || view.getUint32(at, true) !== CENTRAL)
      throw damaged("its directory is cut off");
    const nameLength = view.getUint16(at + 28, true);
    const extraLength = view.getUint16(at + 30, true);
    const next = at + CENTRAL_SIZE + nameLength + extraLength + view.getUint16(at + 32, true);
    if (next > bytes.length) throw damaged("its directory is cut off");
    const name = decodeName(bytes.subarray(at + CENTRAL_SIZE, at + CENTRAL_SIZE + nameLength));
    if (names.has(name)) throw damaged(`two entries have the name ${JSON.stringify(name)}`);
    names.add(name);
    records.push({ name, ...centralFields(view, at, nameLength, extraLength), limit: 0 });
    at = next;
  }
  if (at !== bytes.length) throw damaged("its directory has another size than its entries");
  let limit = directory.offset;
  for (const record of [...records].sort((a, b) => b.local - a.local)) {
    record.limit = limit;
    if (record.local + LOCAL_SIZE + record.packedSize > limit) throw damaged("its entries overlap");
    limit = record.local;
  }
  return records;
}

/** Where an entry's (packed) bytes begin. Throws FILE_INVALID when its local header is missing or tells otherwise. */
export function locateZipData(source: ByteSource, record: ZipRecord): number {
  const { local, name, limit } = record;
  const label = JSON.stringify(name);
  const header = source.bytes(local, LOCAL_SIZE);
  const view = viewOf(header);
  if (view.getUint32(0, true) !== LOCAL) throw damaged(`${label} is missing`);
  if (view.getUint16(8, true) !== record.method) throw damaged(`${label} is packed in two ways`);
  const nameLength = view.getUint16(26, true);
  const start = local + LOCAL_SIZE + nameLength + view.getUint16(28, true);
  if (start + record.packedSize > limit) throw damaged(`${label} is cut off`);
  if (decodeName(source.bytes(local + LOCAL_SIZE, nameLength)) !== name)
    throw damaged(`${label} has two names`);
  return start;
}

interface Directory {
  readonly count: number;
  readonly offset: number;
  readonly size: number;
}

/** Positions and sizes of the central directory, from the record at the end, or its 64-bit form. */
function findDirectory(source: ByteSource): Directory {
  const tailSize = Math.min(source.size, END_SIZE + MAX_UINT16);
  const tail = source.bytes(source.size - tailSize, tailSize);
  const view = viewOf(tail);
  let at = tailSize - END_SIZE;
  while (
    at >= 0 &&
    !(view.getUint32(at, true) === END && at + END_SIZE + view.getUint16(at + 20, true) === tailSize)
  ) {
    at--;
  }
  if (at < 0) throw damaged("it has no end record; it is truncated, or no zip archive");
  const end = source.size - tailSize + at;
  const directory = {
    count: view.getUint16(at + 10, true),
    size: view.getUint32(at + 12, true),
    offset: view.getUint32(at + 16, true),
  };
  const needs64 =
    directory.count === MAX_UINT16 || directory.size === MAX_UINT32 || directory.offset === MAX_UINT32;
  const found = needs64 ? (directory64(source, end) ?? directory) : directory;
  if (view.getUint16(at + 4, true) !== 0 && !needs64) throw damaged("it is split over several files");
  if (found.offset + found.size > end || found.count * CENTRAL_SIZE > found.size)
    throw damaged("its directory is cut off");
  return found;
}

function directory64(source: ByteSource, end: number): Directory | undefined {
  const locator = end - LOCATOR_SIZE;
  if (locator < 0) return undefined;
  const locatorView = viewOf(source.bytes(locator, LOCATOR_SIZE));
  if (locatorView.getUint32(0, true) !== END64_LOCATOR) return undefined;
  const at = safe(locatorView, 8);
  if (at + END64_SIZE > locator) throw damaged("its 64-bit end record is missing");
  const view = viewOf(source.bytes(at, END64_SIZE));
  if (view.getUint32(0, true) !== END64) throw damaged("its 64-bit end record is missing");
  return { count: safe(view, 32), size: safe(view, 40), offset: safe(view, 48) };
}

/** A 64-bit number that must be a position in a file. */
function safe(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw damaged("a size is out of range");
  return value;
}

function centralFields(
  view: DataView,
  at: number,
  nameLength: number,
  extraLength: number,
): Omit<ZipRecord, "name" | "limit"> {
  let packedSize = view.getUint32(at + 20, true);
  let size = view.getUint32(at + 24, true);
  let local = view.getUint32(at + 42, true);
  // The 64-bit extra field holds, in this order, those of the values that do not fit.
  let extra = at + CENTRAL_SIZE + nameLength;
  for (const end = extra + extraLength; extra + 4 <= end; ) {
    const length = view.getUint16(extra + 2, true);
    if (extra + 4 + length > end) throw damaged("an extra field is cut off");
    if (view.getUint16(extra, true) === 1) {
      let value = extra + 4;
      const take = (): number => {
        if (value + 8 > extra + 4 + length) throw damaged("an extra field is cut off");
        value += 8;
        return safe(view, value - 8);
      };
      if (size === MAX_UINT32) size = take();
      if (packedSize === MAX_UINT32) packedSize = take();
      if (local === MAX_UINT32) local = take();
    }
    extra += 4 + length;
  }
  return {
    flags: view.getUint16(at + 8, true),
    method: view.getUint16(at + 10, true),
    crc: view.getUint32(at + 16, true),
    packedSize,
    size,
    local,
  };
}

/** Names that are no UTF-8 are in an unknown code page; they keep their bytes, one character each. */
function decodeName(bytes: Uint8Array): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return new TextDecoder("latin1").decode(bytes);
  }
}
