/** Reads protobuf messages by their tables. Bytes fields are views; nothing in a message is trusted. */
import { TenonError } from "../../base/index.js";
import type { Decoded, Fields, Int, MessageType, NamedField, ScalarKind } from "./table.js";
import { isEnum, isMessage } from "./table.js";

/** Most values of all repeated fields and maps of a message: two bytes on the wire must not become an object each without end. */
const MOST_VALUES = 65_536;

const VARINT = 0;
const FIXED64 = 1;
const DELIMITED = 2;
const FIXED32 = 5;

/** The wire type of each kind; strings, bytes and messages are delimited. */
const WIRE_TYPES: Readonly<Record<ScalarKind, number>> = {
  bool: VARINT,
  int32: VARINT,
  int64: VARINT,
  uint32: VARINT,
  uint64: VARINT,
  float: FIXED32,
  double: FIXED64,
  string: DELIMITED,
  bytes: DELIMITED,
};

/** Walks over the fields of one message. */
export class WireReader {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #what: string;
  at: number;
  end: number;
  #values = 0;
  /** Low and high half of the varint that was read last. */
  #low = 0;
  #high = 0;

  /** `what` names the message in errors. */
  constructor(bytes: Uint8Array, what: string) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#what = what;
    this.at = 0;
    this.end = bytes.length;
  }

  fail(problem: string): never {
    throw new TenonError("REQUEST_INVALID", {
      problem: `malformed ${this.#what}: ${problem} at byte ${this.at}`,
    });
  }

  /** Counts one value of a repeated field or map. */
  count(): void {
    if (++this.#values > MOST_VALUES) this.fail(`more than ${MOST_VALUES} values in repeated fields`);
  }

  #varint(): void {
    const { bytes, end } = this;
    let low = 0;
    let high = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      if (this.at >= end) this.fail("a number is cut off");
      const byte = bytes[this.at++]!;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high = bits >> 4;
      } else if (shift < 63) high |= bits << (shift - 32);
      else if (bits > 1) this.fail("a number of more than 64 bits");
      else high |= bits << 31;
      if (byte < 0x80) {
        this.#low = low >>> 0;
        this.#high = high >>> 0;
        return;
      }
    }
    this.fail("a number of more than 64 bits");
  }

  /** An unsigned number of at most 32 bits: tags and lengths. */
  uint32(): number {
    const byte = this.at < this.end ? this.bytes[this.at]! : 0x80;
    if (byte < 0x80) {
      this.at++;
      return byte;
    }
    this.#varint();
    if (this.#high !== 0) this.fail("a length or a field number of more than 32 bits");
    return this.#low;
  }

  /** A number of 64 bits as its value. */
  int64(): Int {
    this.#varint();
    const high = this.#high | 0;
    const value = high * 2 ** 32 + this.#low;
    if (Number.isSafeInteger(value)) return value;
    return (BigInt(high) << 32n) | BigInt(this.#low);
  }

  uint64(): Int {
    this.#varint();
    const value = this.#high * 2 ** 32 + this.#low;
    if (Number.isSafeInteger(value)) return value;
    return (BigInt(this.#high) << 32n) | BigInt(this.#low);
  }

  /** The low 32 bits of a number, signed: how negative int32 values are sent. */
  int32(): number {
    this.#varint();
    return this.#low | 0;
  }

  bool(): boolean {
    this.#varint();
    return this.#low !== 0 || this.#high !== 0;
  }

  float(): number {
    if (this.at + 4 > this.end) this.fail("a float is cut off");
    this.at += 4;
    return this.#view.getFloat32(this.at - 4, true);
  }

  double(): number {
    if (this.at + 8 > this.end) this.fail("a double is cut off");
    this.at += 8;
    return this.#view.getFloat64(this.at - 8, true);
  }

  /** Length of what follows, which lies within this message. */
  length(): number {
    const length = this.uint32();
    if (length > this.end - this.at)
      this.fail(`${length} bytes are announced, ${this.end - this.at} are left`);
    return length;
  }

  /** A view. */
  delimited(): Uint8Array {
    const length = this.length();
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  string(): string {
    const bytes = this.delimited();
    const { length } = bytes;
    if (length < 24) {
      let text = "";
      for (let i = 0; i < length; i++) {
        const byte = bytes[i]!;
        if (byte >= 0x80) return this.#utf8(bytes);
        text += String.fromCharCode(byte);
      }
      return text;
    }
    return this.#utf8(bytes);
  }

  #utf8(bytes: Uint8Array): string {
    try {
      return UTF8.decode(bytes);
    } catch {
      return this.fail("a string that is not UTF-8");
    }
  }

  skip(wireType: number): void {
    if (wireType === VARINT) this.#varint();
    else if (wireType === DELIMITED) this.delimited();
    else if (wireType === FIXED64) this.at += 8;
    else if (wireType === FIXED32) this.at += 4;
    else this.fail(`wire type ${wireType}`);
    if (this.at > this.end) this.fail("a value is cut off");
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads a whole message. Throws REQUEST_INVALID with the place of what is malformed. */
export function decode<F extends Fields>(type: MessageType<F>, bytes: Uint8Array): Decoded<F> {
  return readMessage(new WireReader(bytes, type.name), type) as Decoded<F>;
}

type Mutable = Record<string, unknown>;

function blank(type: MessageType<Fields>): Mutable {
  const result: Mutable = {};
  for (const field of type.list) result[field.name] = defaultOf(field);
  return result;
}

function defaultOf({ kind, repeated, key, oneof }: NamedField): unknown {
  if (key !== undefined) return new Map();
  if (repeated) return [];
  if (oneof !== undefined || isMessage(kind)) return undefined;
  if (isEnum(kind)) return kind.names[0];
  if (kind === "bool") return false;
  if (kind === "string") return "";
  return kind === "bytes" ? EMPTY : 0;
}

const EMPTY = new Uint8Array(0);

function readMessage(reader: WireReader, type: MessageType<Fields>, into: Mutable = blank(type)): Mutable {
  while (reader.at < reader.end) {
    const tag = reader.uint32();
    const wireType = tag & 7;
    if (tag >>> 3 === 0) reader.fail("field number 0");
    const field = type.byNumber.get(tag >>> 3);
    if (field === undefined) reader.skip(wireType);
    else readField(reader, type, field, wireType, into);
  }
  return into;
}

function readField(
  reader: WireReader,
  type: MessageType<Fields>,
  field: NamedField,
  wireType: number,
  into: Mutable,
): void {
  const { kind, name } = field;
  const scalar = isEnum(kind) ? "int32" : isMessage(kind) ? "bytes" : kind;
  const expected = WIRE_TYPES[scalar];
  if (field.key !== undefined) {
    if (wireType !== DELIMITED) reader.fail(`field ${type.name}.${name} has wire type ${wireType}`);
    const map = into[name] as Map<unknown, unknown>; // made by blank
    reader.count();
    readEntry(reader, field, map);
    return;
  }
  if (field.repeated) {
    const list = into[name] as unknown[]; // made by blank
    if (wireType === DELIMITED && expected !== DELIMITED) {
      within(reader, () => {
        while (reader.at < reader.end) {
          reader.count();
          list.push(readValue(reader, field));
        }
      });
      return;
    }
    if (wireType !== expected) reader.fail(`field ${type.name}.${name} has wire type ${wireType}`);
    reader.count();
    list.push(readValue(reader, field));
    return;
  }
  if (wireType !== expected) reader.fail(`field ${type.name}.${name} has wire type ${wireType}`);
  if (field.oneof !== undefined) {
    for (const other of type.list)
      if (other.oneof === field.oneof && other !== field) into[other.name] = undefined;
  }
  // A message field that comes twice is merged, as the format has it.
  into[name] = readValue(reader, field, into[name]);
}

function within(reader: WireReader, read: () => void): void {
  const length = reader.length();
  const { end } = reader;
  reader.end = reader.at + length;
  read();
  reader.end = end;
}

function readValue(reader: WireReader, { kind }: Pick<NamedField, "kind">, before?: unknown): unknown {
  if (isEnum(kind)) {
    const number = reader.int32();
    return kind.names[number] ?? number;
  }
  if (isMessage(kind)) {
    let result = before as Mutable | undefined; // of the same kind: read by this function
    within(reader, () => {
      result = readMessage(reader, kind, result);
    });
    return result;
  }
  switch (kind) {
    case "bool":
      return reader.bool();
    case "int32":
      return reader.int32();
    case "uint32":
      return reader.int32() >>> 0;
    case "int64":
      return reader.int64();
    case "uint64":
      return reader.uint64();
    case "float":
      return reader.float();
    case "double":
      return reader.double();
    case "string":
      return reader.string();
    case "bytes":
      return reader.delimited();
  }
}

function readEntry(reader: WireReader, field: NamedField, map: Map<unknown, unknown>): void {
  const keyField = { kind: field.key! };
  let key: unknown = field.key === "string" ? "" : 0;
  let value: unknown;
  within(reader, () => {
    while (reader.at < reader.end) {
      const tag = reader.uint32();
      if (tag >>> 3 === 1 && (tag & 7) === WIRE_TYPES[field.key!]) key = readValue(reader, keyField);
      else if (tag >>> 3 === 2) {
        const scalar = isEnum(field.kind) ? "int32" : isMessage(field.kind) ? "bytes" : field.kind;
        if ((tag & 7) !== WIRE_TYPES[scalar])
          reader.fail(`a value of ${field.name} has wire type ${tag & 7}`);
        value = readValue(reader, field, value);
      } else reader.skip(tag & 7);
    }
  });
  if (value === undefined) {
    value = isMessage(field.kind)
      ? blank(field.kind)
      : defaultOf({ ...field, key: undefined, repeated: false });
  }
  map.set(key, value);
}
