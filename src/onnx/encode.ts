/** Messages of the tables → protobuf bytes, as a list of chunks in which weights are never copied. */
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import {
  ATTRIBUTE,
  type Field,
  FUNCTION,
  GRAPH,
  type Message,
  MODEL,
  NODE,
  SPARSE_TENSOR,
  type Table,
  TENSOR,
} from "./proto.js";
import { type Chunk, chunkLength, readRange } from "./source.js";

const VARINT = 0;
const LENGTH = 2;
const BITS32 = 5;

/** Payloads below this size are copied into the chunk of the text around them. */
const OWN_CHUNK_FROM = 4096;

/** Encoded bytes in order. */
export interface Encoded {
  readonly chunks: readonly Chunk[];
  readonly length: number;
}

/** Messages that can hold weights are encoded on their own, so that a length prefix never moves a weight. */
const HOLD_WEIGHTS: ReadonlySet<Table> = new Set([MODEL, GRAPH, FUNCTION, TENSOR, SPARSE_TENSOR]);

export function encode(message: Message, table: Table): Encoded {
  const chunks: Chunk[] = [];
  let writer = new BinaryWriter();
  let length = 0;
  const push = (chunk: Chunk): void => {
    chunks.push(chunk);
    length += chunkLength(chunk);
  };
  const bytes = (chunk: Chunk): void => {
    if (chunk instanceof Uint8Array && chunk.byteLength < OWN_CHUNK_FROM) {
      writer.raw(chunk);
      return;
    }
    push(writer.finish());
    writer = new BinaryWriter();
    push(chunk);
  };
  for (const field of table.fields) {
    const value = fieldOf(message, field);
    if (value === undefined) continue;
    if (field.kind === "message" || field.kind === "messages") {
      for (const inner of (field.repeated ? value : [value]) as Message[]) {
        writer.tag(field.number, LENGTH);
        if (isHeavy(inner, field.table())) {
          const part = encode(inner, field.table());
          writer.uint32(part.length);
          for (const chunk of part.chunks) bytes(chunk);
        } else writeLight(inner, field.table(), writer);
      }
    } else if (field.kind === "payload" || field.kind.startsWith("packed")) {
      const chunk = value as Chunk;
      writer.tag(field.number, LENGTH).uint32(chunkLength(chunk));
      bytes(chunk);
    } else writeScalar(writer, field, value);
  }
  for (const chunk of message.extra) bytes(chunk);
  push(writer.finish());
  return { chunks: chunks.filter((chunk) => chunkLength(chunk) > 0), length };
}

/** Attributes and nodes are small unless they hold a tensor or a graph. */
function isHeavy(message: Message, table: Table): boolean {
  if (HOLD_WEIGHTS.has(table)) return true;
  const fields = message as Message & Record<string, unknown>;
  if (table === NODE) return (fields.attribute as Message[]).some((inner) => isHeavy(inner, ATTRIBUTE));
  if (table !== ATTRIBUTE) return false;
  return table.fields.some(
    (field) =>
      (field.kind === "message" || field.kind === "messages") &&
      HOLD_WEIGHTS.has(field.table()) &&
      fieldOf(message, field) !== undefined,
  );
}

/** The value of a field that is to be written; undefined when it is absent or empty. */
function fieldOf(message: Message, field: Field): unknown {
  const value = (message as Message & Record<string, unknown>)[field.key];
  return field.repeated && (value as unknown[]).length === 0 ? undefined : value;
}

function writeLight(message: Message, table: Table, writer: BinaryWriter): void {
  writer.fork();
  for (const field of table.fields) {
    const value = fieldOf(message, field);
    if (value === undefined) continue;
    if (field.kind === "message" || field.kind === "messages") {
      for (const inner of (field.repeated ? value : [value]) as Message[]) {
        writer.tag(field.number, LENGTH);
        writeLight(inner, field.table(), writer);
      }
    } else writeScalar(writer, field, value);
  }
  for (const chunk of message.extra) writer.raw(chunk instanceof Uint8Array ? chunk : readRange(chunk));
  writer.join();
}

function writeScalar(writer: BinaryWriter, field: Field, value: unknown): void {
  const { number } = field;
  switch (field.kind) {
    case "int":
    case "enum":
      writer.tag(number, VARINT);
      writeInt(writer, value as number | bigint);
      return;
    case "ints":
      // Unpacked, as onnx.proto (proto2) declares it for attributes and sparse dims, and as every writer does.
      for (const item of value as (number | bigint)[]) {
        writer.tag(number, VARINT);
        writeInt(writer, item);
      }
      return;
    case "float":
      writer.tag(number, BITS32).float(value as number);
      return;
    case "floats":
      for (const item of value as number[]) writer.tag(number, BITS32).float(item);
      return;
    case "string":
      writer.tag(number, LENGTH).string(value as string);
      return;
    case "strings":
      for (const item of value as string[]) writer.tag(number, LENGTH).string(item);
      return;
    case "bytes":
      writer.tag(number, LENGTH).bytes(value as Uint8Array);
      return;
    case "bytess":
      for (const item of value as Uint8Array[]) writer.tag(number, LENGTH).bytes(item);
      return;
    default:
      throw new TypeError(`${field.kind} is not a scalar`);
  }
}

function writeInt(writer: BinaryWriter, value: number | bigint): void {
  if (typeof value === "number" && value >= 0 && value <= 0xffffffff) writer.uint32(value);
  else writer.int64(BigInt(value));
}
