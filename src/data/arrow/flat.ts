/** FlatBuffers as Arrow uses them: tables read by field number; every read is checked against the end of the bytes. */
import { TenonError } from "../../base/index.js";

/** What is thrown for bytes that are no Arrow. */
export function damaged(problem: string, given?: string): TenonError {
  return new TenonError("FILE_INVALID", {
    problem: `damaged Arrow file: ${problem}`,
    ...(given === undefined ? {} : { given }),
  });
}

/** A table in a FlatBuffer. Reads outside of the bytes throw RangeError. */
export class FlatTable {
  readonly #view: DataView;
  readonly #at: number;
  readonly #fields: number;
  readonly #count: number;

  private constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
    this.#fields = at - view.getInt32(at, true);
    this.#count = (view.getUint16(this.#fields, true) - 4) >> 1;
  }

  /** The table that the buffer starts with. */
  static root(bytes: Uint8Array): FlatTable {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return new FlatTable(view, view.getUint32(0, true));
  }

  /** Where a field's value lies; 0: it has none. */
  #field(field: number): number {
    if (field >= this.#count) return 0;
    const offset = this.#view.getUint16(this.#fields + 4 + 2 * field, true);
    return offset === 0 ? 0 : this.#at + offset;
  }

  byte(field: number, otherwise: number): number {
    const at = this.#field(field);
    return at === 0 ? otherwise : this.#view.getUint8(at);
  }

  short(field: number, otherwise: number): number {
    const at = this.#field(field);
    return at === 0 ? otherwise : this.#view.getInt16(at, true);
  }

  int(field: number, otherwise: number): number {
    const at = this.#field(field);
    return at === 0 ? otherwise : this.#view.getInt32(at, true);
  }

  /** A count or a place, which are below 2^53. */
  long(field: number): number {
    const at = this.#field(field);
    return at === 0 ? 0 : wholeAt(this.#view, at);
  }

  table(field: number): FlatTable | undefined {
    const at = this.#field(field);
    return at === 0 ? undefined : new FlatTable(this.#view, at + this.#view.getUint32(at, true));
  }

  text(field: number): string | undefined {
    const at = this.#field(field);
    if (at === 0) return undefined;
    const start = at + this.#view.getUint32(at, true);
    const { buffer, byteOffset } = this.#view;
    const length = this.#view.getUint32(start, true);
    if (start + 4 + length > this.#view.byteLength) throw damaged("a text is cut off");
    return new TextDecoder().decode(new Uint8Array(buffer, byteOffset + start + 4, length));
  }

  /** Where a vector's items start, and how many there are. */
  #vector(field: number, width: number): { start: number; length: number } {
    const at = this.#field(field);
    if (at === 0) return { start: 0, length: 0 };
    const start = at + this.#view.getUint32(at, true);
    const length = this.#view.getUint32(start, true);
    if (start + 4 + length * width > this.#view.byteLength) throw damaged("a list is cut off");
    return { start: start + 4, length };
  }

  tables(field: number): FlatTable[] {
    const { start, length } = this.#vector(field, 4);
    return Array.from({ length }, (_, i) => {
      const at = start + 4 * i;
      return new FlatTable(this.#view, at + this.#view.getUint32(at, true));
    });
  }

  /** Structs of 64-bit counts: `[a, b, …]` for each. */
  structs(field: number, counts: number): number[][] {
    const { start, length } = this.#vector(field, 8 * counts);
    return Array.from({ length }, (_, i) =>
      Array.from({ length: counts }, (_, j) => wholeAt(this.#view, start + 8 * (counts * i + j))),
    );
  }

  /** `Block`s of a footer: place, bytes of the message, bytes of the body. */
  blocks(field: number): { offset: number; metadata: number; body: number }[] {
    const { start, length } = this.#vector(field, 24);
    return Array.from({ length }, (_, i) => {
      const at = start + 24 * i;
      return {
        offset: wholeAt(this.#view, at),
        metadata: this.#view.getInt32(at + 8, true),
        body: wholeAt(this.#view, at + 16),
      };
    });
  }
}

function wholeAt(view: DataView, at: number): number {
  const value = Number(view.getBigInt64(at, true));
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw damaged("a count is out of range", String(value));
}
