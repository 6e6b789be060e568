/** Thrift's compact protocol (the encoding of Parquet's footer and page headers): a bounded reader and a writer. */
import { TenonError } from "../../base/index.js";

/** A struct: values by field id; absent fields are undefined. */
export type ThriftStruct = readonly (ThriftValue | undefined)[];
export type ThriftValue = boolean | number | Uint8Array | ThriftList | ThriftStruct;
export type ThriftList = readonly ThriftValue[];

/** Deeper nesting than any Parquet footer has. */
const MAX_DEPTH = 24;
/** Field ids above this are read and dropped. */
const MAX_FIELD = 64;

export function invalid(problem: string, given?: string): TenonError {
  return new TenonError("FILE_INVALID", {
    problem: `damaged Parquet file: ${problem}`,
    ...(given === undefined ? {} : { given }),
  });
}

/**
 * Reads one struct at `start`; throws FILE_INVALID when it is cut off, nested too deep or holds unknown types. Without `texts`
 * they are passed over, and given as false.
 */
export function readThrift(
  bytes: Uint8Array,
  start: number,
  texts = true,
): { value: ThriftStruct; end: number } {
  const reader = new Reader(bytes, start, texts);
  const value = reader.struct(0);
  return { value, end: reader.at };
}

class Reader {
  readonly #bytes: Uint8Array;
  readonly #texts: boolean;
  at: number;

  constructor(bytes: Uint8Array, at: number, texts: boolean) {
    this.#bytes = bytes;
    this.#texts = texts;
    this.at = at;
  }

  #byte(): number {
    const byte = this.#bytes[this.at++];
    if (byte === undefined) throw invalid("a header is cut off");
    return byte;
  }

  #varint(): number {
    let value = 0;
    let scale = 1;
    for (let i = 0; i < 10; i++) {
      const byte = this.#byte();
      value += (byte & 127) * scale;
      if (byte < 128) {
        if (value > Number.MAX_SAFE_INTEGER) throw invalid("a number in a header is too large");
        return value;
      }
      scale *= 128;
    }
    throw invalid("a number in a header does not end");
  }

  #zigzag(): number {
    const value = this.#varint();
    return value % 2 === 0 ? value / 2 : -(value + 1) / 2;
  }

  struct(depth: number): ThriftStruct {
    if (depth > MAX_DEPTH) throw invalid("a header is nested too deep");
    const fields: (ThriftValue | undefined)[] = [];
    let id = 0;
    for (;;) {
      const head = this.#byte();
      if (head === 0) return fields;
      const type = head & 15;
      const delta = head >> 4;
      id = delta === 0 ? this.#zigzag() : id + delta;
      const value = type === 1 ? true : type === 2 ? false : this.#value(type, depth + 1);
      if (id >= 0 && id <= MAX_FIELD) fields[id] = value;
    }
  }

  #value(type: number, depth: number): ThriftValue {
    switch (type) {
      case 1: // a bool in a list
      case 2:
        return this.#byte() === 1;
      case 3:
        return (this.#byte() << 24) >> 24;
      case 4:
      case 5:
      case 6:
        return this.#zigzag();
      case 7:
        this.at += 8;
        if (this.at > this.#bytes.length) throw invalid("a header is cut off");
        return 0;
      case 8: {
        const length = this.#varint();
        if (length > this.#bytes.length - this.at) throw invalid("a text in a header is cut off");
        this.at += length;
        return this.#texts && this.#bytes.subarray(this.at - length, this.at);
      }
      case 9:
      case 10:
        return this.#list(depth);
      case 12:
        return this.struct(depth);
      default:
        throw invalid("a header holds an unknown type", String(type));
    }
  }

  #list(depth: number): ThriftList {
    if (depth > MAX_DEPTH) throw invalid("a header is nested too deep");
    const head = this.#byte();
    const count = head >> 4 === 15 ? this.#varint() : head >> 4;
    // Every element takes a byte at least.
    if (count > this.#bytes.length - this.at) throw invalid("a list in a header is longer than the file");
    const list: ThriftValue[] = [];
    for (let i = 0; i < count; i++) list.push(this.#value(head & 15, depth + 1));
    return list;
  }
}

/** What `ThriftWriter.struct` takes: fields in ascending order of their ids. */
export type ThriftField =
  | readonly [id: number, type: "i32" | "i64", value: number]
  | readonly [id: number, type: "bool", value: boolean]
  | readonly [id: number, type: "binary", value: Uint8Array | string]
  | readonly [id: number, type: "struct", value: readonly ThriftField[]]
  | readonly [id: number, type: "structs", value: readonly (readonly ThriftField[])[]]
  | readonly [id: number, type: "i32s", value: readonly number[]]
  | readonly [id: number, type: "texts", value: readonly string[]];

/** Bytes of one struct. */
export function writeThrift(fields: readonly ThriftField[]): Uint8Array {
  const out: number[] = [];
  writeStruct(out, fields);
  return Uint8Array.from(out);
}

const encoder = new TextEncoder();

const TYPE_CODES: Readonly<Record<ThriftField[1], number>> = {
  bool: 1,
  i32: 5,
  i64: 6,
  binary: 8,
  structs: 9,
  i32s: 9,
  texts: 9,
  struct: 12,
};

function writeStruct(out: number[], fields: readonly ThriftField[]): void {
  let last = 0;
  for (const field of fields) {
    const [id, type] = field;
    const code = type === "bool" ? (field[2] ? 1 : 2) : TYPE_CODES[type];
    out.push(((id - last) << 4) | code);
    last = id;
    writeValue(out, field);
  }
  out.push(0);
}

function writeValue(out: number[], field: ThriftField): void {
  if (field[1] === "i32" || field[1] === "i64") writeZigzag(out, field[2]);
  else if (field[1] === "binary") writeBytes(out, field[2]);
  else if (field[1] === "struct") writeStruct(out, field[2]);
  else if (field[1] === "structs") {
    writeListHead(out, field[2].length, 12);
    for (const item of field[2]) writeStruct(out, item);
  } else if (field[1] === "i32s") {
    writeListHead(out, field[2].length, 5);
    for (const item of field[2]) writeZigzag(out, item);
  } else if (field[1] === "texts") {
    writeListHead(out, field[2].length, 8);
    for (const item of field[2]) writeBytes(out, item);
  }
}

function writeListHead(out: number[], count: number, code: number): void {
  if (count < 15) out.push((count << 4) | code);
  else {
    out.push(0xf0 | code);
    writeVarint(out, count);
  }
}

function writeBytes(out: number[], value: Uint8Array | string): void {
  const bytes = typeof value === "string" ? encoder.encode(value) : value;
  writeVarint(out, bytes.length);
  for (const byte of bytes) out.push(byte);
}

function writeZigzag(out: number[], value: number): void {
  writeVarint(out, value < 0 ? -value * 2 - 1 : value * 2);
}

function writeVarint(out: number[], value: number): void {
  while (value >= 128) {
    out.push((value % 128) | 128);
    value = Math.floor(value / 128);
  }
  out.push(value);
}
