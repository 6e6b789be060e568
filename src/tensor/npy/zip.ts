/** Zip archives (PKWARE APPNOTE 6.3): stored and deflated entries, each checked by its CRC; and the writer. */
import {
  type ByteSource,
  locateZipData,
  readZipDirectory,
  TenonError,
  type ZipRecord,
} from "../../base/index.js";

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

/**
 * The entries of an archive. Throws FILE_INVALID for truncated or contradictory archives, for encrypted, split or
 * overlapping entries and for names that occur twice; memory is taken by `read` only, and no more than an entry can hold.
 */
export function readZip(bytes: Uint8Array): ZipEntry[] {
  const source: ByteSource = {
    size: bytes.length,
    bytes: (offset, length) => bytes.subarray(offset, offset + length),
  };
  return readZipDirectory(source).map((record) => ({
    name: record.name,
    size: record.size,
    read: () => readEntry(source, record),
  }));
}

function readEntry(source: ByteSource, record: ZipRecord): Uint8Array {
  const { name, flags, method, packedSize, size, crc } = record;
  const label = JSON.stringify(name);
  if ((flags & ENCRYPTED) !== 0) throw damaged(`${label} is encrypted`);
  if (method !== STORED && method !== DEFLATED)
    throw damaged(`${label} is packed by method ${method}, not deflate`);
  const packed = source.bytes(locateZipData(source, record), packedSize);
  const unpacked = method === STORED ? packed : inflate(packed, size, label);
  if (unpacked.length !== size) throw damaged(`${label} has ${unpacked.length} bytes, not ${size}`);
  if (zlib().crc32(unpacked) !== crc) throw damaged(`${label} does not match its checksum`);
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
