/** A part of a file or buffer as a source of its own, so that an archive inside an archive is read like any other. */
import { BytesSource, type Chunk, FileSource, resolvePath, type Source } from "../onnx/index.js";
import { damaged } from "./invalid.js";

/** Bytes [base, base + size) of a source. Offsets are relative to the region; leaving it throws FILE_INVALID. */
export class Region {
  readonly size: number;
  readonly #source: Source;
  readonly #base: number;

  constructor(source: Source, base = 0, size = source.size - base) {
    this.#source = source;
    this.#base = base;
    this.size = size;
  }

  /** The bytes, read now; valid until the buffer of the caller changes. */
  bytes(offset: number, length: number): Uint8Array {
    this.#check(offset, length);
    return this.#source.bytes(this.#base + offset, length);
  }

  /** The place of the bytes, unread; a view when they are in memory. */
  chunk(offset: number, length: number): Chunk {
    this.#check(offset, length);
    const start = this.#base + offset;
    if (this.#source instanceof FileSource) return { file: this.#source.file, offset: start, length };
    return this.#source.bytes(start, length);
  }

  within(offset: number, length: number): Region {
    this.#check(offset, length);
    return new Region(this.#source, this.#base + offset, length);
  }

  #check(offset: number, length: number): void {
    if (Number.isSafeInteger(offset + length) && offset >= 0 && length >= 0 && offset + length <= this.size)
      return;
    throw damaged("the file is cut off", {
      given: `${length} bytes at ${offset}`,
      expected: `at most ${this.size} bytes`,
    });
  }
}

/** Opens a file or takes bytes, gives the region to `use`, and closes the file again. */
export function withRegion<T>(input: string | Uint8Array, use: (region: Region) => T): T {
  if (input instanceof Uint8Array) return use(new Region(new BytesSource(input)));
  const source = new FileSource(resolvePath(input));
  try {
    return use(new Region(source));
  } finally {
    source.close();
  }
}
