/** Protobuf bytes → messages of the tables, refusing whatever two parsers could read differently. */
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { invalid } from "./invalid.js";
import type { Field, Int, Message, Table } from "./proto.js";
import type { Chunk, Source } from "./source.js";

const VARINT = 0;
const BITS64 = 1;
const LENGTH = 2;
const BITS32 = 5;

/** Protobuf's own limit for nested messages. */
const MAX_DEPTH = 100;
/** Most messages that one file may hold: an empty one takes 2 bytes in the file and a hundred in memory. */
const MAX_MESSAGES = 2_000_000;
/** Windows of a file grow from this size while it is read without jumps. */
const FIRST_WINDOW = 16 * 1024;
/** Sliced decoding gives way after this many fields. */
const SLICE = 256;

const TYPE_OF_WIRE = ["a varint", "64 bits", "a length", "a group", "a group", "32 bits"];

type Filled = Message & Record<string, unknown>;

/**
 * Decodes one message that fills the source. A generator, so that a big file does not hold the event loop: it
 * yields now and then between the fields of the two outer messages (Model and Graph).
 */
export function* decode<M extends Message>(source: Source, table: Table<M>): Generator<void, M> {
  // The table is total over the interface, so the message has its shape.
  return (yield* new Decoder(source).sliced(table, source.size, 0)) as M;
}

class Decoder {
  readonly #source: Source;
  /** A window of the source, and where it begins and ends there. */
  #reader: BinaryReader;
  #buffer: Uint8Array;
  #start = 0;
  #end: number;
  /** Bytes that the next window takes. */
  #ahead = FIRST_WINDOW;
  #messages = 0;

  constructor(source: Source) {
    this.#source = source;
    this.#end = source.window < source.size ? FIRST_WINDOW : source.size;
    this.#buffer = source.bytes(0, this.#end);
    this.#reader = new BinaryReader(this.#buffer);
  }

  *sliced(table: Table, end: number, depth: number): Generator<void, Message> {
    const message = this.#begin(table, depth);
    let seen = 0;
    for (let count = 1; this.#position < end; count++) {
      const start = this.#position;
      const tag = this.#tag(end, table);
      const field = table.byNumber[tag >>> 3];
      seen = once(field, seen, table);
      if (field?.kind === "message" && depth === 0 && (tag & 7) === LENGTH) {
        message[field.key] = yield* this.sliced(field.table(), this.#lengthEnd(end, table), depth + 1);
      } else this.#field(message, table, field, tag, start, end, depth);
      if (count % SLICE === 0) yield;
    }
    return message;
  }

  #message(table: Table, end: number, depth: number): Filled {
    const message = this.#begin(table, depth);
    let seen = 0;
    while (this.#position < end) {
      const start = this.#position;
      const tag = this.#tag(end, table);
      const field = table.byNumber[tag >>> 3];
      seen = once(field, seen, table);
      this.#field(message, table, field, tag, start, end, depth);
    }
    return message;
  }

  #begin(table: Table, depth: number): Filled {
    if (depth > MAX_DEPTH) throw invalid(`messages are nested more than ${MAX_DEPTH} deep`);
    if (++this.#messages > MAX_MESSAGES) throw invalid(`the file holds more than ${MAX_MESSAGES} messages`);
    // Seen as a record of its table's keys.
    return table.empty() as Filled;
  }

  #field(
    message: Filled,
    table: Table,
    field: Field | undefined,
    tag: number,
    start: number,
    end: number,
    depth: number,
  ): void {
    const wire = tag & 7;
    if (field === undefined) {
      this.#skip(wire, end, table);
      append(message, "extra", this.#source.keep(start, this.#position - start));
      return;
    }
    const { key } = field;
    switch (field.kind) {
      case "string":
        message[key] = this.#string(this.#span(wire, field, table, end));
        return;
      case "strings":
        append(message, key, this.#string(this.#span(wire, field, table, end)));
        return;
      case "message":
      case "messages": {
        expectWire(wire, LENGTH, field, table);
        const inner = this.#message(field.table(), this.#lengthEnd(end, table), depth + 1);
        if (field.repeated) append(message, key, inner);
        else message[key] = inner;
        return;
      }
      case "int":
        expectWire(wire, VARINT, field, table);
        message[key] = this.#int(end, table);
        return;
      case "enum":
        expectWire(wire, VARINT, field, table);
        message[key] = this.#enum(end, table);
        return;
      case "ints":
        this.#numbers(message, field, wire, VARINT, end, table, (limit) => this.#int(limit, table));
        return;
      case "float":
        expectWire(wire, BITS32, field, table);
        message[key] = this.#float(end, table);
        return;
      case "floats":
        this.#numbers(message, field, wire, BITS32, end, table, (limit) => this.#float(limit, table));
        return;
      case "bytes":
        message[key] = this.#copy(this.#span(wire, field, table, end));
        return;
      case "bytess":
        append(message, key, this.#copy(this.#span(wire, field, table, end)));
        return;
      case "payload":
        message[key] = this.#payload(this.#span(wire, field, table, end));
        return;
      case "packedVarint":
        this.#packed(message, field, wire, VARINT, end, table);
        return;
      case "packed32":
        this.#packed(message, field, wire, BITS32, end, table);
        return;
      case "packed64":
        this.#packed(message, field, wire, BITS64, end, table);
        return;
    }
  }

  // ── positions ────────────────────────────────────────────────────────────────────────────────

  get #position(): number {
    return this.#start + this.#reader.pos;
  }

  #moveTo(position: number): void {
    if (position <= this.#end) this.#reader.pos = position - this.#start;
    else this.#refill(position, 0);
  }

  /** Makes the next `count` bytes readable; they must lie before `end`. */
  #need(count: number, end: number, table: Table): void {
    const position = this.#position;
    if (position + count > end) throw truncated(table);
    if (position + count > this.#end) this.#refill(position, count);
  }

  /** Reads on with growing windows, and starts small again behind a weight that was jumped over. */
  #refill(position: number, count: number): void {
    this.#ahead = position <= this.#end ? Math.min(2 * this.#ahead, this.#source.window) : FIRST_WINDOW;
    const length = Math.min(Math.max(count, this.#ahead), this.#source.size - position);
    this.#buffer = this.#source.bytes(position, length);
    this.#reader = new BinaryReader(this.#buffer);
    this.#start = position;
    this.#end = position + length;
  }

  // ── pieces of the wire ───────────────────────────────────────────────────────────────────────

  /** A varint of at most 32 bits: a tag or a length. */
  #varint32(end: number, table: Table): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      this.#need(1, end, table);
      const byte = this.#buffer[this.#reader.pos++]!;
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) {
        if (value > 0xffffffff) break;
        return value;
      }
    }
    throw invalid(`${table.name} holds a tag or length of more than 32 bits`);
  }

  #tag(end: number, table: Table): number {
    const tag = this.#varint32(end, table);
    if (tag < 8) throw invalid(`${table.name} holds a field of number 0`);
    return tag;
  }

  /** Reads a length; the position where its bytes end, which lies inside the enclosing message. */
  #lengthEnd(end: number, table: Table): number {
    const length = this.#varint32(end, table);
    const inner = this.#position + length;
    if (inner > end) throw truncated(table);
    return inner;
  }

  /** The length of a length-delimited field that must be one. */
  #span(wire: number, field: Field, table: Table, end: number): number {
    expectWire(wire, LENGTH, field, table);
    return this.#lengthEnd(end, table) - this.#position;
  }

  #skip(wire: number, end: number, table: Table): void {
    if (wire === VARINT) this.#skipVarint(end, table);
    else if (wire === LENGTH) this.#moveTo(this.#lengthEnd(end, table));
    else if (wire === BITS32 || wire === BITS64) {
      this.#need(wire === BITS32 ? 4 : 8, end, table);
      this.#reader.pos += wire === BITS32 ? 4 : 8;
    } else throw invalid(`${table.name} holds ${TYPE_OF_WIRE[wire] ?? "an unknown wire type"}`);
  }

  #skipVarint(end: number, table: Table): void {
    for (let count = 0; count < 10; count++) {
      this.#need(1, end, table);
      if (this.#buffer[this.#reader.pos++]! < 0x80) return;
    }
    throw invalid(`${table.name} holds a varint of more than 10 bytes`);
  }

  #int(end: number, table: Table): Int {
    this.#need(1, end, table);
    const first = this.#buffer[this.#reader.pos]!;
    if (first < 0x80) {
      this.#reader.pos++;
      return first;
    }
    const wide = this.#wide(end, table);
    const value = Number(wide);
    return Number.isSafeInteger(value) ? value : wide;
  }

  #enum(end: number, table: Table): number {
    const value = this.#int(end, table);
    if (typeof value === "bigint" || value < -(2 ** 31) || value >= 2 ** 31) {
      throw invalid(`${table.name} holds an enum value of more than 32 bits`, { given: String(value) });
    }
    return value;
  }

  #wide(end: number, table: Table): bigint {
    const start = this.#position;
    this.#skipVarint(end, table);
    const length = this.#position - start;
    if (length === 10 && this.#buffer[this.#reader.pos - 1]! > 1) {
      throw invalid(`${table.name} holds an integer of more than 64 bits`);
    }
    this.#reader.pos -= length;
    return BigInt(this.#reader.int64());
  }

  #float(end: number, table: Table): number {
    this.#need(4, end, table);
    return this.#reader.float();
  }

  #view(length: number): Uint8Array {
    if (this.#position + length > this.#end) this.#refill(this.#position, length);
    const from = this.#reader.pos;
    this.#reader.pos += length;
    return this.#buffer.subarray(from, from + length);
  }

  #string(length: number): string {
    if (length <= SHORT) {
      const view = this.#view(length);
      return shortAscii(view) ?? strictText(view);
    }
    return strictText(this.#view(length));
  }

  /** Bytes that outlive the window: a view of a buffer that holds the whole model, else a copy. */
  #copy(length: number): Uint8Array {
    const position = this.#position;
    if (this.#source.window < this.#source.size) return this.#view(length).slice();
    this.#reader.pos += length;
    return this.#source.bytes(position, length);
  }

  #payload(length: number): Chunk {
    const position = this.#position;
    this.#moveTo(position + length);
    return this.#source.keep(position, length);
  }

  // ── repeated numbers ─────────────────────────────────────────────────────────────────────────

  #numbers(
    message: Filled,
    field: Field,
    wire: number,
    single: number,
    end: number,
    table: Table,
    read: (end: number) => Int,
  ): void {
    if (wire !== LENGTH) {
      expectWire(wire, single, field, table);
      append(message, field.key, read(end));
      return;
    }
    const limit = this.#lengthEnd(end, table);
    while (this.#position < limit) append(message, field.key, read(limit));
  }

  /** Keeps the payload as it is; a run of unpacked elements is joined to one. */
  #packed(message: Filled, field: Field, wire: number, single: number, end: number, table: Table): void {
    if (message[field.key] !== undefined) {
      throw invalid(`${table.name}.${field.key} is stored in several places`);
    }
    if (wire !== LENGTH) message[field.key] = this.#unpacked(field, wire, single, end, table);
    else {
      const length = this.#lengthEnd(end, table) - this.#position;
      message[field.key] = single === VARINT ? this.#copy(length) : this.#payload(length);
    }
  }

  /** The rare form: a run of single elements, collected in one growing buffer. */
  #unpacked(field: Field, wire: number, single: number, end: number, table: Table): Uint8Array {
    let buffer = new Uint8Array(256);
    let length = 0;
    for (;;) {
      expectWire(wire, single, field, table);
      const start = this.#position;
      this.#skip(wire, end, table);
      const width = this.#position - start;
      this.#moveBack(start, width);
      const bytes = this.#view(width);
      if (length + width > buffer.byteLength) {
        const larger = new Uint8Array(2 * buffer.byteLength);
        larger.set(buffer);
        buffer = larger;
      }
      buffer.set(bytes, length);
      length += width;
      if (this.#position >= end) break;
      const next = this.#position;
      const tag = this.#tag(end, table);
      if (tag >>> 3 !== field.number) {
        this.#moveBack(next, 1);
        break;
      }
      wire = tag & 7;
    }
    return buffer.slice(0, length);
  }

  /** To a position just passed, which a moved window may have left behind. */
  #moveBack(position: number, count: number): void {
    if (position >= this.#start) this.#reader.pos = position - this.#start;
    else this.#refill(position, count);
  }
}

function expectWire(wire: number, expected: number, field: Field, table: Table): void {
  if (wire === expected) return;
  throw invalid(`${table.name}.${field.key} has the wrong wire type`, {
    given: TYPE_OF_WIRE[wire] ?? "an unknown wire type",
    expected: TYPE_OF_WIRE[expected]!,
  });
}

/** Marks a singular field as read; a second one is refused, since parsers differ on which counts. */
function once(field: Field | undefined, seen: number, table: Table): number {
  if (field === undefined || !field.singular) return seen;
  const bit = 1 << field.number;
  if ((seen & bit) !== 0) throw invalid(`${table.name}.${field.key} is given twice`);
  return seen | bit;
}

function append(message: Filled, key: string, value: unknown): void {
  const list = message[key] as unknown[];
  if (list.length === 0) message[key] = [value];
  else list.push(value);
}

function truncated(table: Table): Error {
  return invalid(`the bytes end inside a ${table.name} message`, {
    do: "check that the file is an ONNX model and was copied completely",
  });
}

const SHORT = 24;
const codes: number[] = [];

/** Most names are short ASCII, for which a TextDecoder call costs more than this loop. */
function shortAscii(bytes: Uint8Array): string | undefined {
  codes.length = bytes.length;
  for (let i = 0; i < bytes.length; i++) {
    const code = bytes[i]!;
    if (code > 0x7f) return undefined;
    codes[i] = code;
  }
  return String.fromCharCode.apply(null, codes);
}

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** UTF-8 text; throws MODEL_INVALID for other bytes. */
function strictText(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw invalid("a name or text is not valid UTF-8", { cause });
  }
}

/** UTF-8 text, or undefined when the bytes are none. */
export function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    return undefined;
  }
}
