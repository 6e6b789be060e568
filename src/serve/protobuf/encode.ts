/** Writes protobuf messages by their tables; what equals its default is left out, as proto3 has it. */
import type { DecodedOf, Fields, Int, MessageType, NamedField, ScalarKind, Written } from "./table.js";
import { isEnum, isMessage } from "./table.js";

/** Appends to a buffer that grows. */
export class WireWriter {
  #bytes = Buffer.allocUnsafe(256);
  #length = 0;

  get length(): number {
    return this.#length;
  }

  #room(more: number): void {
    if (this.#length + more <= this.#bytes.length) return;
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#bytes.length, this.#length + more));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }

  /** A number from 0 to 2^53. */
  varint(value: number): void {
    this.#room(10);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 128) | 0x80;
      rest = Math.floor(rest / 128);
    }
    this.#bytes[this.#length++] = rest;
  }

  int64(value: Int): void {
    if (typeof value === "number" && value >= 0) {
      this.varint(value);
      return;
    }
    this.#room(10);
    let rest = BigInt.asUintN(64, BigInt(value));
    while (rest >= 0x80n) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  float(value: number): void {
    this.#room(4);
    this.#length = this.#bytes.writeFloatLE(value, this.#length);
  }

  double(value: number): void {
    this.#room(8);
    this.#length = this.#bytes.writeDoubleLE(value, this.#length);
  }

  bytes(value: Uint8Array): void {
    this.#room(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Bytes with their length in front. */
  delimited(value: Uint8Array): void {
    this.varint(value.length);
    this.bytes(value);
  }

  string(value: string): void {
    const length = Buffer.byteLength(value);
    this.varint(length);
    this.#room(length);
    this.#length += this.#bytes.write(value, this.#length);
  }

  tag(number: number, wireType: number): void {
    this.varint(number * 8 + wireType);
  }

  /** What was written, as a view. */
  result(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** A whole message as bytes. */
export function encode<M extends MessageType<Fields>>(type: M, value: Written<DecodedOf<M>>): Buffer {
  const writer = new WireWriter();
  encodeInto(writer, type, value);
  return writer.result();
}

/** Appends a message's fields. */
export function encodeInto<M extends MessageType<Fields>>(
  writer: WireWriter,
  type: M,
  value: Written<DecodedOf<M>>,
): void {
  writeMessage(writer, type, value as Readonly<Record<string, unknown>>); // its fields are read by the table
}

const SCALARS: {
  readonly [K in ScalarKind]: {
    readonly wireType: number;
    readonly write: (writer: WireWriter, value: never) => void;
  };
} = {
  bool: { wireType: 0, write: (writer, value: boolean) => writer.varint(value ? 1 : 0) },
  int32: { wireType: 0, write: (writer, value: number) => writer.int64(value) },
  int64: { wireType: 0, write: (writer, value: Int) => writer.int64(value) },
  uint32: { wireType: 0, write: (writer, value: number) => writer.varint(value) },
  uint64: { wireType: 0, write: (writer, value: Int) => writer.int64(value) },
  float: { wireType: 5, write: (writer, value: number) => writer.float(value) },
  double: { wireType: 1, write: (writer, value: number) => writer.double(value) },
  string: { wireType: 2, write: (writer, value: string) => writer.string(value) },
  bytes: { wireType: 2, write: (writer, value: Uint8Array) => writer.delimited(value) },
};

function writeMessage(
  writer: WireWriter,
  type: MessageType<Fields>,
  value: Readonly<Record<string, unknown>>,
): void {
  for (const field of type.list) {
    const own = value[field.name];
    if (own === undefined) continue;
    if (field.key !== undefined) {
      for (const [key, entry] of own as ReadonlyMap<string | Int, unknown>) {
        const inner = new WireWriter();
        writeScalar(inner, 1, field.key, key);
        writeValue(inner, { ...field, number: 2 }, entry);
        writer.tag(field.number, 2);
        writer.delimited(inner.result());
      }
    } else if (field.repeated) writeRepeated(writer, field, own as readonly unknown[]);
    else if (field.oneof !== undefined || !isDefault(field, own)) writeValue(writer, field, own);
  }
}

function isDefault({ kind }: NamedField, value: unknown): boolean {
  if (isEnum(kind)) return numberOf(kind.names, value) === 0;
  return (
    value === 0 ||
    value === false ||
    value === "" ||
    value === 0n ||
    (value instanceof Uint8Array && value.length === 0)
  );
}

function writeRepeated(writer: WireWriter, field: NamedField, values: readonly unknown[]): void {
  if (values.length === 0) return;
  const { kind } = field;
  if (isMessage(kind) || kind === "string" || kind === "bytes") {
    for (const value of values) writeValue(writer, field, value);
    return;
  }
  const inner = new WireWriter();
  const { write } = SCALARS[isEnum(kind) ? "int32" : kind];
  for (const value of values) write(inner, (isEnum(kind) ? numberOf(kind.names, value) : value) as never);
  writer.tag(field.number, 2);
  writer.delimited(inner.result());
}

function writeValue(writer: WireWriter, { kind, number }: NamedField, value: unknown): void {
  if (isMessage(kind)) {
    const inner = new WireWriter();
    writeMessage(inner, kind, value as Readonly<Record<string, unknown>>);
    writer.tag(number, 2);
    writer.delimited(inner.result());
  } else if (isEnum(kind)) writeScalar(writer, number, "int32", numberOf(kind.names, value));
  else writeScalar(writer, number, kind, value);
}

function writeScalar(writer: WireWriter, number: number, kind: ScalarKind, value: unknown): void {
  const { wireType, write } = SCALARS[kind];
  writer.tag(number, wireType);
  write(writer, value as never); // the table's type says so
}

function numberOf(names: readonly string[], value: unknown): number {
  return typeof value === "number" ? value : names.indexOf(String(value));
}
