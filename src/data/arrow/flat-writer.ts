/** FlatBuffers written for Arrow: values described first, laid out in one go from the front. */

/** A value of a table's field, or an item of a vector. */
export type FlatValue =
  | { readonly kind: "scalar"; readonly width: 1 | 2 | 4 | 8; readonly value: number }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "table"; readonly fields: readonly (FlatValue | null)[] }
  | { readonly kind: "tables"; readonly items: readonly FlatValue[] }
  /** Structs of 64-bit words, one after the other. */
  | { readonly kind: "structs"; readonly words: readonly number[]; readonly perStruct: number };

export const byte = (value: number): FlatValue => ({ kind: "scalar", width: 1, value });
export const short = (value: number): FlatValue => ({ kind: "scalar", width: 2, value });
export const int = (value: number): FlatValue => ({ kind: "scalar", width: 4, value });
export const long = (value: number): FlatValue => ({ kind: "scalar", width: 8, value });
export const text = (value: string): FlatValue => ({ kind: "text", text: value });
export const table = (...fields: readonly (FlatValue | null)[]): FlatValue => ({ kind: "table", fields });
export const tables = (items: readonly FlatValue[]): FlatValue => ({ kind: "tables", items });
export const structs = (words: readonly number[], perStruct: number): FlatValue => ({
  kind: "structs",
  words,
  perStruct,
});

/** The bytes of a buffer whose root is a table; their number is a multiple of 8. */
export function flatBuffer(root: FlatValue): Uint8Array {
  const writer = new Writer();
  writer.long(0); // the root's offset, and padding
  const at = writer.value(root);
  writer.patch(0, at);
  return writer.bytes();
}

class Writer {
  #view = new DataView(new ArrayBuffer(1024));
  #length = 0;

  #room(size: number): number {
    const at = this.#length;
    while (at + size > this.#view.byteLength) {
      const larger = new Uint8Array(2 * this.#view.byteLength);
      larger.set(new Uint8Array(this.#view.buffer));
      this.#view = new DataView(larger.buffer);
    }
    this.#length += size;
    return at;
  }

  #align(width: number): void {
    this.#room((width - (this.#length % width)) % width);
  }

  long(value: number): void {
    const at = this.#room(8); // may replace the view
    this.#view.setBigInt64(at, BigInt(value), true);
  }

  /** Writes an offset at `at` that leads to `target`. */
  patch(at: number, target: number): void {
    this.#view.setUint32(at, target - at, true);
  }

  bytes(): Uint8Array {
    this.#align(8);
    return new Uint8Array(this.#view.buffer, 0, this.#length);
  }

  #scalar(at: number, width: number, value: number): void {
    if (width === 1) this.#view.setInt8(at, value);
    else if (width === 2) this.#view.setInt16(at, value, true);
    else if (width === 4) this.#view.setInt32(at, value, true);
    else this.#view.setBigInt64(at, BigInt(value), true);
  }

  /** Writes a table, text or vector; gives its place. Offsets lead forward, so that what they lead to follows. */
  value(value: FlatValue): number {
    switch (value.kind) {
      case "scalar":
        throw new RangeError("a number has no place of its own");
      case "text": {
        const encoded = new TextEncoder().encode(value.text);
        this.#align(4);
        const at = this.#room(4 + encoded.length + 1);
        this.#view.setUint32(at, encoded.length, true);
        new Uint8Array(this.#view.buffer).set(encoded, at + 4);
        return at;
      }
      case "structs": {
        // Words lie on multiples of 8, the count in the four bytes before.
        while (this.#length % 8 !== 4) this.#room(1);
        const at = this.#room(4);
        this.#view.setUint32(at, value.words.length / value.perStruct, true);
        for (const word of value.words) this.long(word);
        return at;
      }
      case "tables": {
        this.#align(4);
        const at = this.#room(4 + 4 * value.items.length);
        this.#view.setUint32(at, value.items.length, true);
        for (const [i, item] of value.items.entries()) this.patch(at + 4 + 4 * i, this.value(item));
        return at;
      }
      case "table":
        return this.#table(value.fields);
    }
  }

  #table(fields: readonly (FlatValue | null)[]): number {
    this.#align(2);
    const vtable = this.#room(4 + 2 * fields.length);
    this.#align(8);
    const at = this.#room(4);
    this.#view.setInt32(at, at - vtable, true);
    const places = fields.map((field) => {
      if (field === null) return 0;
      const width = field.kind === "scalar" ? field.width : 4;
      this.#align(width);
      const place = this.#room(width);
      if (field.kind === "scalar") this.#scalar(place, width, field.value);
      return place;
    });
    this.#view.setUint16(vtable, 4 + 2 * fields.length, true);
    this.#view.setUint16(vtable + 2, this.#length - at, true);
    places.forEach((place, i) => {
      this.#view.setUint16(vtable + 4 + 2 * i, place === 0 ? 0 : place - at, true);
    });
    fields.forEach((field, i) => {
      if (field !== null && field.kind !== "scalar") this.patch(places[i]!, this.value(field));
    });
    return at;
  }
}
