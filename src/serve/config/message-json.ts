/** Messages as JSON, by their tables: names as in the text format, 64-bit integers as numbers; read in protobuf's own forms. */
import { suggest, TenonError } from "../../base/index.js";
import {
  type Decoded,
  type DecodedOf,
  type Fields,
  isEnum,
  isMessage,
  type MessageType,
  type NamedField,
} from "../protobuf/table.js";

/** A message as plain data: defaults written out, messages that are not set left out. */
export function messageJson<M extends MessageType<Fields>>(type: M, message: DecodedOf<M>): object {
  return objectOf(type, message as Readonly<Record<string, unknown>>); // its fields are read by the table
}

function objectOf(type: MessageType<Fields>, message: Readonly<Record<string, unknown>>): object {
  const result: Record<string, unknown> = {};
  for (const field of type.list) {
    const value = message[field.name];
    if (value === undefined) continue;
    if (field.key !== undefined) {
      const entries = [...(value as ReadonlyMap<unknown, unknown>)];
      result[field.name] = Object.fromEntries(
        entries.map(([key, entry]) => [String(key), plainValue(field, entry)]),
      );
    } else if (field.repeated) {
      result[field.name] = (value as readonly unknown[]).map((entry) => plainValue(field, entry));
    } else result[field.name] = plainValue(field, value);
  }
  return result;
}

function plainValue({ kind }: NamedField, value: unknown): unknown {
  if (isMessage(kind)) return objectOf(kind, value as Readonly<Record<string, unknown>>);
  if (value instanceof Uint8Array) return Buffer.from(value).toString("base64");
  return typeof value === "bigint" ? Number(value) : value;
}

/** A message whose fields all have their defaults. */
export function emptyMessage<F extends Fields>(type: MessageType<F>): Decoded<F> {
  return read(type, {}, "") as Decoded<F>;
}

/** Reads protobuf's JSON form: names in both cases, integers as numbers or texts. `what` names it in errors. Throws CONFIG_INVALID. */
export function readMessageJson<F extends Fields>(
  type: MessageType<F>,
  text: string,
  what: string,
): Decoded<F> {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    throw new TenonError("CONFIG_INVALID", { problem: `${what} is not JSON`, details: { field: what } });
  }
  return read(type, parsed, what) as Decoded<F>;
}

type Plain = Readonly<Record<string, unknown>>;

function read(type: MessageType<Fields>, value: unknown, where: string): Record<string, unknown> {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong(where, value, "an object");
  const result: Record<string, unknown> = {};
  for (const { name, repeated, key, oneof, kind } of type.list) {
    result[name] =
      key !== undefined ? new Map() : repeated ? [] : oneof === undefined ? zero(kind) : undefined;
  }
  const seen = new Set<string>();
  for (const [key, own] of Object.entries(value as Plain)) {
    const field = type.list.find(({ name }) => name === key || camel(name) === key);
    if (field === undefined) {
      throw new TenonError("CONFIG_INVALID", {
        problem: `${where}: ${type.name} has no field "${key.slice(0, 64)}"`,
        expected: suggest(
          key,
          type.list.map(({ name }) => name),
        ),
        details: { field: key.slice(0, 64) },
      });
    }
    const at = `${where}.${field.name}`;
    const slot = field.oneof ?? field.name;
    if (seen.has(slot))
      throw new TenonError("CONFIG_INVALID", {
        problem: `${at} excludes what is set beside it`,
        details: { field: at },
      });
    if (own === null) continue;
    seen.add(slot);
    result[field.name] = readField(field, own, at);
  }
  return result;
}

function readField(field: NamedField, value: unknown, where: string): unknown {
  if (field.key !== undefined) {
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw wrong(where, value, "an object");
    return new Map(
      Object.entries(value).map(([key, entry]) => [
        field.key === "string" ? key : readInteger(key, where),
        readOne(field, entry, `${where}.${key.slice(0, 64)}`),
      ]),
    );
  }
  if (!field.repeated) return readOne(field, value, where);
  if (!Array.isArray(value)) throw wrong(where, value, "a list");
  return value.map((entry, i) => readOne(field, entry, `${where}[${i}]`));
}

function readOne({ kind }: NamedField, value: unknown, where: string): unknown {
  if (isMessage(kind)) return read(kind, value, where);
  if (isEnum(kind)) {
    if (typeof value === "string" && kind.names.includes(value)) return value;
    const named = typeof value === "number" ? kind.names[value] : undefined;
    if (named !== undefined) return named;
    throw wrong(where, value, suggest(String(value), kind.names));
  }
  switch (kind) {
    case "bool":
      if (typeof value === "boolean") return value;
      throw wrong(where, value, "true or false");
    case "string":
      if (typeof value === "string") return value;
      throw wrong(where, value, "a text");
    case "bytes":
      if (typeof value === "string") return Buffer.from(value, "base64");
      throw wrong(where, value, "a text in base64");
    case "float":
    case "double": {
      const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
      if (typeof number === "number" && (!Number.isNaN(number) || value === "NaN")) return number;
      throw wrong(where, value, "a number");
    }
    default: {
      const integer = readInteger(value, where);
      const [least, most] = RANGES[kind];
      if (integer >= least && integer <= most) return integer;
      throw wrong(where, value, `a whole number of ${kind}`);
    }
  }
}

const RANGES = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
} as const;

function readInteger(value: unknown, where: string): number | bigint {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  if (typeof value === "string" && /^-?[0-9]{1,20}$/.test(value)) {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : BigInt(value);
  }
  throw wrong(where, value, "a whole number");
}

function wrong(where: string, value: unknown, expected: string): TenonError {
  return new TenonError("CONFIG_INVALID", {
    problem: `${where} is ${String(JSON.stringify(value)).slice(0, 64)}`,
    expected,
    details: { field: where },
  });
}

/** `max_batch_size` → `maxBatchSize`. */
function camel(name: string): string {
  return name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function zero(kind: NamedField["kind"]): unknown {
  if (isMessage(kind)) return undefined;
  if (isEnum(kind)) return kind.names[0];
  if (kind === "bool") return false;
  return kind === "string" ? "" : kind === "bytes" ? Buffer.alloc(0) : 0;
}
