/** An ONNX file as a tree of records, read and written without the library: what mutations work on. */
import { varint } from "../attacks/wire.js";

/** Which fields of a message hold messages (onnx.proto). */
const FIELDS = {
  Model: { 7: "Graph", 8: "Opset", 14: "Entry", 25: "Function" },
  Graph: { 1: "Node", 5: "Tensor", 11: "Value", 12: "Value", 13: "Value", 15: "Sparse" },
  Node: { 5: "Attribute" },
  Attribute: { 5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 14: "Type", 15: "Type", 22: "Sparse" },
  Tensor: { 13: "Entry" },
  Sparse: { 1: "Tensor", 2: "Tensor" },
  Value: { 2: "Type" },
  Type: { 1: "TensorType", 4: "Element", 5: "Map", 8: "TensorType", 9: "Element" },
  TensorType: { 2: "Shape" },
  Element: { 1: "Type" },
  Map: { 2: "Type" },
  Shape: { 1: "Dim" },
  Function: { 7: "Node", 9: "Opset", 11: "Attribute", 12: "Value" },
  Dim: {},
  Opset: {},
  Entry: {},
} as const;

export type Kind = keyof typeof FIELDS;

export interface Message {
  readonly kind: Kind;
  records: Entry[];
}

/** One record: a varint, bytes (texts, packed numbers, weights), fixed bits, or a message. */
export interface Entry {
  field: number;
  value: bigint | Uint8Array | Message;
  /** Wire type of fixed bits; otherwise the value tells. */
  fixed?: 1 | 5;
}

/** Reads a model. Throws RangeError for bytes that are none: seeds are sound files. */
export function parseModel(bytes: Uint8Array): Message {
  return parse(Buffer.from(bytes), "Model");
}

function parse(bytes: Buffer, kind: Kind): Message {
  const records: Entry[] = [];
  const inner: Readonly<Record<number, Kind>> = FIELDS[kind];
  let at = 0;
  const next = (): bigint => {
    let result = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes.readUInt8(at++);
      result |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, result);
    }
  };
  const take = (length: number): Buffer => {
    if (at + length > bytes.length) throw new RangeError("the message ends early");
    at += length;
    return bytes.subarray(at - length, at);
  };
  while (at < bytes.length) {
    const tag = Number(next());
    const [field, wire] = [tag >>> 3, tag & 7];
    if (wire === 0) records.push({ field, value: next() });
    else if (wire === 1 || wire === 5) records.push({ field, value: take(wire === 1 ? 8 : 4), fixed: wire });
    else {
      const content = take(Number(next()));
      const child = inner[field];
      records.push({ field, value: child === undefined ? content : parse(content, child) });
    }
  }
  return { kind, records };
}

/** The bytes of a message. */
export function encode(message: Message): Buffer {
  return Buffer.concat(
    message.records.flatMap(({ field, value, fixed }) => {
      if (typeof value === "bigint") return [varint(field << 3), varint(value)];
      if (fixed !== undefined) return [varint((field << 3) | fixed), value as Uint8Array];
      const bytes = value instanceof Uint8Array ? value : encode(value);
      return [varint((field << 3) | 2), varint(bytes.length), bytes];
    }),
  );
}

export function clone(message: Message): Message {
  return { kind: message.kind, records: message.records.map(cloneEntry) };
}

export function cloneEntry(entry: Entry): Entry {
  const { value } = entry;
  if (typeof value === "bigint" || value instanceof Uint8Array) return { ...entry };
  return { ...entry, value: clone(value) };
}

/** Every message of a tree, the tree itself first. */
export function messagesIn(message: Message, found: Message[] = []): Message[] {
  found.push(message);
  for (const { value } of message.records) {
    if (typeof value !== "bigint" && !(value instanceof Uint8Array)) messagesIn(value, found);
  }
  return found;
}
