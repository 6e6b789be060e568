/** Archive: a zip file as PyTorch writes it, every entry stored, as places in the file. */
import { crc32 } from "node:zlib";
import { formatBytes, locateZipData, readZipDirectory, type ZipRecord } from "../base/index.js";
import { BytesSource, type Chunk } from "../onnx/index.js";
import { damaged, quoted } from "./invalid.js";
import { Region } from "./region.js";

const MAX_ENTRIES = 65_536;
const ENCRYPTED = 0x0001;
const STORED = 0;
/** Entries that are read whole (pickles, JSON) may have this size at most. */
const MAX_READ = 256 * 2 ** 20;
/** Checksums are computed over pieces of this size. */
const PIECE = 2 ** 20;

export class Archive {
  readonly #region: Region;
  readonly #records: ReadonlyMap<string, ZipRecord>;

  /**
   * Throws FILE_INVALID for a damaged archive, for more than 65,536 entries, and for entries that overlap or have a name
   * that occurs twice or leads out of a folder. Compressed and encrypted entries (TorchScript compresses its code) are
   * refused when one is asked for.
   */
  constructor(region: Region) {
    this.#region = region;
    const records = readZipDirectory(region, { maxEntries: MAX_ENTRIES });
    for (const { name } of records) {
      if (name.startsWith("/") || /[\\\0]/.test(name) || name.split("/").includes(".."))
        throw damaged(`archive entry ${quoted(name)} has a name that leads out of the archive`);
    }
    this.#records = new Map(records.map((record) => [record.name, record]));
  }

  /** Names of the entries, in the archive's order. */
  get names(): IterableIterator<string> {
    return this.#records.keys();
  }

  has(name: string): boolean {
    return this.#records.has(name);
  }

  /** The entry's bytes where they are, unread. */
  chunk(name: string): Chunk {
    const { start, size } = this.#locate(name);
    return this.#region.chunk(start, size);
  }

  /** The entry as a region, for an archive inside this one. */
  region(name: string): Region {
    const { start, size } = this.#locate(name);
    return this.#region.within(start, size);
  }

  /** The entry's bytes, read and compared with their checksum. */
  read(name: string): Uint8Array {
    const { start, size, crc } = this.#locate(name);
    if (size > MAX_READ) {
      throw damaged(`archive entry ${quoted(name)} is too large`, {
        given: formatBytes(size),
        expected: `at most ${formatBytes(MAX_READ)}`,
      });
    }
    const bytes = this.#region.bytes(start, size);
    if (crc32(bytes) !== crc) throw damagedEntry(name);
    return bytes;
  }

  /** The entry as a region in memory, read and compared with its checksum. */
  readRegion(name: string): Region {
    return new Region(new BytesSource(this.read(name)));
  }

  /** A short text entry. */
  text(name: string): string {
    return new TextDecoder().decode(this.read(name)).trim();
  }

  /** Compares every stored entry with its checksum; reads the whole file. */
  verify(): void {
    for (const { name, method } of this.#records.values()) {
      if (method !== STORED) continue;
      const { start, size, crc } = this.#locate(name);
      let sum = 0;
      for (let at = 0; at < size; at += PIECE)
        sum = crc32(this.#region.bytes(start + at, Math.min(PIECE, size - at)), sum);
      if (sum !== crc) throw damagedEntry(name);
    }
  }

  #locate(name: string): { start: number; size: number; crc: number } {
    const record = this.#records.get(name);
    if (record === undefined) throw damaged(`the archive has no entry ${quoted(name)}`);
    if ((record.flags & ENCRYPTED) !== 0) throw damaged(`archive entry ${quoted(name)} is encrypted`);
    if (record.method !== STORED || record.size !== record.packedSize)
      throw damaged(`archive entry ${quoted(name)} is compressed`, {
        expected: "a stored entry, as torch.save writes them",
      });
    return { start: locateZipData(this.#region, record), size: record.size, crc: record.crc };
  }
}

function damagedEntry(name: string): Error {
  return damaged(`archive entry ${quoted(name)} does not match its checksum`, {
    do: "fetch the file again",
  });
}

/** True for bytes that begin as a zip archive with an entry does. */
export function looksLikeZip(head: Uint8Array): boolean {
  return head[0] === 0x50 && head[1] === 0x4b && head[2] === 3 && head[3] === 4;
}
