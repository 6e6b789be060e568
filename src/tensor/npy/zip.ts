/** Zip archives (PKWARE APPNOTE 6.3): stored and deflated entries, by the central directory, each checked by its CRC. */
import { TenonError } from "../../base/index.js";

type Zlib = typeof import("node:zlib");

/** node:zlib, asked for at the point of use: the tensor layer also loads where there is none. */
function zlib(): Zlib {
  if (typeof process === "object" && typeof process.getBuiltinModule === "function") {
    return process.getBuiltinModule("node:zlib");
  }
  throw new TenonError("DEPENDENCY_MISSING", { problem: "zip archives need node:zlib", do: "run on Node" });
}

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const END64_LOCATOR = 0x07064b50;
const UTF8_NAME = 0x0800;
const ENCRYPTED = 0x0001;
const STORED = 0;
const DEFLATED = 8;
/** Deflate cannot expand further: a stream that claims more lies. */
const MAX_RATIO = 1032;
const MAX_UINT16 = 0xffff;
const MAX_UINT32 = 0xffffffff;

/** One entry of an archive, as its central directory tells. */
export interface ZipEntry {
  readonly name: string;
  /** Bytes when unpacked. */
  readonly size: number;
  /** The unpacked bytes; a view when stored. Throws FILE_INVALID when they are damaged. */
  readonly read: () => Uint8Array;
}

function damaged(problem: string): TenonError {
  return new TenonError("FILE_INVALID", { problem: `damaged zip archive: ${problem}` });
}

interface Directory {
  readonly count: number;
  readonly offset: number;
  readonly size: number;
}

/**
 * The entries of an archive. Throws FILE_INVALID for truncated or contradictory archives, for encrypted, split or
 * overlapping entries and for names that occur twice; memory is taken by `read` only, and no more than an entry can hold.
 */
export function readZip(bytes: Uint8Array): ZipEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const directory = findDirectory(bytes, view);
  const entries: ZipEntry[] = [];
  const names = new Set<string>();
  let at = directory.offset;
  let packed = 0;
  for (let i = 0; i < directory.count; i++) {
    if (at + 46 > bytes.length || view.getUint32(at, true) !== CENTRAL)
      throw damaged("its directory is cut off");
    const lengths = [
      view.getUint16(at + 28, true),
      view.getUint16(at + 30, true),
      view.getUint16(at + 32, true),
    ] as const;
    const next = at + 46 + lengths[0] + lengths[1] + lengths[2];
    if (next > bytes.length) throw damaged("its directory is cut off");
    const name = decodeName(bytes.subarray(at + 46, at + 46 + lengths[0]));
    if (names.has(name)) throw damaged(`two entries have the name ${JSON.stringify(name)}`);
    names.add(name);
    const fields = centralFields(view, at, lengths[0], lengths[1]);
    packed += fields.packedSize;
    if (packed > bytes.length) throw damaged("its entries overlap");
    entries.push({ name, size: fields.size, read: () => readEntry(bytes, view, name, fields) });
    at = next;
  }
  return entries;
}

/** Positions and sizes of the central directory, from the record at the end, or its 64-bit form. */
function findDirectory(bytes: Uint8Array, view: DataView): Directory {
  let end = bytes.length - 22;
  const least = Math.max(0, end - MAX_UINT16);
  while (
    end >= least &&
    !(view.getUint32(end, true) === END && end + 22 + view.getUint16(end + 20, true) === bytes.length)
  ) {
    end--;
  }
  if (end < least) throw damaged("it has no end record; it is truncated, or no zip archive");
  const directory = {
    count: view.getUint16(end + 10, true),
    size: view.getUint32(end + 12, true),
    offset: view.getUint32(end + 16, true),
  };
  const needs64 =
    directory.count === MAX_UINT16 || directory.size === MAX_UINT32 || directory.offset === MAX_UINT32;
  const found = needs64 ? (directory64(view, end) ?? directory) : directory;
  if (view.getUint16(end + 4, true) !== 0 && !needs64) throw damaged("it is split over several files");
  if (found.offset + found.size > end || found.count * 46 > found.size)
    throw damaged("its directory is cut off");
  return found;
}

function directory64(view: DataView, end: number): Directory | undefined {
  const locator = end - 20;
  if (locator < 0 || view.getUint32(locator, true) !== END64_LOCATOR) return undefined;
  const at = safe(view, locator + 8);
  if (at + 56 > locator || view.getUint32(at, true) !== END64)
    throw damaged("its 64-bit end record is missing");
  return { count: safe(view, at + 32), size: safe(view, at + 40), offset: safe(view, at + 48) };
}

/** A 64-bit number that must be a position in a buffer. */
function safe(view: DataView, at: number): number {
  const value = Number(view.getBigUint64(at, true));
  if (!Number.isSafeInteger(value)) throw damaged("a size is out of range");
  return value;
}

interface EntryFields {
  readonly flags: number;
  readonly method: number;
  readonly crc: number;
  readonly packedSize: number;
  readonly size: number;
  readonly local: number;
}

function centralFields(view: DataView, at: number, nameLength: number, extraLength: number): EntryFields {
  let packedSize = view.getUint32(at + 20, true);
  let size = view.getUint32(at + 24, true);
  let local = view.getUint32(at + 42, true);
  // The 64-bit extra field holds, in this order, those of the values that do not fit.
  let extra = at + 46 + nameLength;
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
  const flags = view.getUint16(at + 8, true);
  return {
    flags,
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

function readEntry(bytes: Uint8Array, view: DataView, name: string, fields: EntryFields): Uint8Array {
  const { local, packedSize, size, method } = fields;
  const label = JSON.stringify(name);
  if ((fields.flags & ENCRYPTED) !== 0) throw damaged(`${label} is encrypted`);
  if (method !== STORED && method !== DEFLATED)
    throw damaged(`${label} is packed by method ${method}, not deflate`);
  if (local + 30 > bytes.length || view.getUint32(local, true) !== LOCAL)
    throw damaged(`${label} is missing`);
  const start = local + 30 + view.getUint16(local + 26, true) + view.getUint16(local + 28, true);
  if (start + packedSize > bytes.length) throw damaged(`${label} is cut off`);
  const packed = bytes.subarray(start, start + packedSize);
  const unpacked = method === STORED ? packed : inflate(packed, size, label);
  if (unpacked.length !== size) throw damaged(`${label} has ${unpacked.length} bytes, not ${size}`);
  if (zlib().crc32(unpacked) !== fields.crc) throw damaged(`${label} does not match its checksum`);
  return unpacked;
}

function inflate(packed: Uint8Array, size: number, label: string): Uint8Array {
  if (size > packed.length * MAX_RATIO + 64)
    throw damaged(`${label} claims more bytes than its data can hold`);
  try {
    const out = zlib().inflateRawSync(packed, { maxOutputLength: Math.max(size, 1) });
    return new Uint8Array(out.buffer, out.byteOffset, out.byteLength);
  } catch (cause) {
    throw new TenonError("FILE_INVALID", {
      problem: `damaged zip archive: ${label} cannot be unpacked`,
      cause,
    });
  }
}

/** Stored data starts at a multiple of this, so that arrays in it can be viewed in place. */
const ALIGNMENT = 64;
/** The extra field that aligns data, as Android's zipalign writes it. */
const PADDING_FIELD = 0xd935;

/**
 * An archive of the entries, in their order, without times (equal entries give equal bytes). Throws FILE_INVALID beyond
 * 65,534 entries or 4 GiB, which need the 64-bit form.
 */
export function writeZip(
  entries: readonly { readonly name: string; readonly data: Uint8Array }[],
  compress: boolean,
): Uint8Array {
  const { crc32, deflateRawSync } = zlib();
  const parts: Uint8Array[] = [];
  const directory: Uint8Array[] = [];
  let offset = 0;
  const push = (list: Uint8Array[], part: Uint8Array): void => {
    list.push(part);
    offset += part.length;
  };
  for (const { name, data } of entries) {
    const encoded = new TextEncoder().encode(name);
    const body = compress ? deflateRawSync(data) : data;
    const padding = compress
      ? 0
      : (2 * ALIGNMENT - ((offset + 30 + encoded.length + 4) % ALIGNMENT)) % ALIGNMENT;
    const extra = compress ? new Uint8Array(0) : paddingField(padding);
    if (encoded.length > MAX_UINT16 || offset + body.length + data.length >= MAX_UINT32) tooLarge();
    const fields = {
      name: encoded,
      crc: crc32(data),
      method: compress ? DEFLATED : STORED,
      packed: body.length,
      size: data.length,
    };
    directory.push(record(CENTRAL, fields, new Uint8Array(0), offset));
    push(parts, record(LOCAL, fields, extra, 0));
    push(parts, body);
  }
  const start = offset;
  for (const part of directory) push(parts, part);
  if (entries.length >= MAX_UINT16 || offset >= MAX_UINT32) tooLarge();
  const end = new DataView(new ArrayBuffer(22));
  end.setUint32(0, END, true);
  end.setUint16(8, entries.length, true);
  end.setUint16(10, entries.length, true);
  end.setUint32(12, offset - start, true);
  end.setUint32(16, start, true);
  push(parts, new Uint8Array(end.buffer));
  const out = new Uint8Array(offset);
  let at = 0;
  for (const part of parts) {
    out.set(part, at);
    at += part.length;
  }
  return out;
}

function tooLarge(): never {
  throw new TenonError("FILE_INVALID", {
    problem: "the archive would need 64-bit zip",
    expected: "fewer than 65,535 entries and less than 4 GiB",
    do: "write several archives",
  });
}

function paddingField(padding: number): Uint8Array {
  const field = new DataView(new ArrayBuffer(4 + padding));
  field.setUint16(0, PADDING_FIELD, true);
  field.setUint16(2, padding, true);
  return new Uint8Array(field.buffer);
}

interface Fields {
  readonly name: Uint8Array;
  readonly crc: number;
  readonly method: number;
  readonly packed: number;
  readonly size: number;
}

/** A local header, or a directory entry that names the place of one. */
function record(
  signature: typeof LOCAL | typeof CENTRAL,
  fields: Fields,
  extra: Uint8Array,
  local: number,
): Uint8Array {
  const central = signature === CENTRAL;
  const fixed = central ? 46 : 30;
  const out = new Uint8Array(fixed + fields.name.length + extra.length);
  const view = new DataView(out.buffer);
  view.setUint32(0, signature, true);
  // A directory entry has the writer's version before what the two share.
  const at = central ? 2 : 0;
  if (central) view.setUint16(4, 20, true);
  view.setUint16(at + 4, 20, true);
  view.setUint16(at + 6, UTF8_NAME, true);
  view.setUint16(at + 8, fields.method, true);
  // 1 January 1980, the earliest date there is.
  view.setUint16(at + 12, 0x21, true);
  view.setUint32(at + 14, fields.crc, true);
  view.setUint32(at + 18, fields.packed, true);
  view.setUint32(at + 22, fields.size, true);
  view.setUint16(at + 26, fields.name.length, true);
  view.setUint16(at + 28, extra.length, true);
  if (central) view.setUint32(42, local, true);
  out.set(fields.name, fixed);
  out.set(extra, fixed + fields.name.length);
  return out;
}
