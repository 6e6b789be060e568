/** Fields: typed access to a JSON object, with the place in every error. */
import { damaged, quoted, unsupported } from "../invalid.js";
import { type Json, LazyObject } from "../json-value.js";

type Decode<T> = (value: Json, place: string) => T;

/** A JSON object that is decoded field by field; unknown fields are ignored. */
export class Fields {
  readonly place: string;
  readonly #members: ReadonlyMap<string, Json>;

  constructor(value: Json, place: string) {
    if (!(value instanceof Map)) throw wrong(place, "an object");
    this.#members = value;
    this.place = place;
  }

  /** A field that must be there. */
  need<T>(name: string, decode: Decode<T>): T {
    const value = this.#members.get(name);
    if (value === undefined) throw damaged(`the exported program lacks ${this.place}.${name}`);
    return decode(value, `${this.place}.${name}`);
  }

  /** A field that may be absent or null. */
  maybe<T, F>(name: string, decode: Decode<T>, fallback: F): T | F {
    const value = this.#members.get(name);
    return value === undefined || value === null ? fallback : decode(value, `${this.place}.${name}`);
  }
}

function wrong(place: string, expected: string): Error {
  return damaged(`the exported program has a wrong ${place}`, { expected });
}

export function text(value: Json, place: string): string {
  if (typeof value === "string") return value;
  throw wrong(place, "a text");
}

export function flag(value: Json, place: string): boolean {
  if (typeof value === "boolean") return value;
  throw wrong(place, "true or false");
}

export function int(value: Json, place: string): number | bigint {
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return value as number | bigint;
  throw wrong(place, "an integer");
}

export function smallInt(value: Json, place: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw wrong(place, "an integer below 2^53");
}

/** Newer files write infinities and NaN as texts, older ones as bare words. */
export function float(value: Json, place: string): number {
  if (typeof value === "number") return value;
  if (typeof value === "bigint") return Number(value);
  if (value === "Infinity" || value === "-Infinity" || value === "NaN") return Number(value);
  throw wrong(place, "a number");
}

export function list<T>(decode: Decode<T>): Decode<T[]> {
  return (value, place) => {
    if (!Array.isArray(value)) throw wrong(place, "a list");
    return value.map((item, i) => decode(item, `${place}[${i}]`));
  };
}

export function table<T>(decode: Decode<T>): Decode<Map<string, T>> {
  return (value, place) => {
    if (!(value instanceof Map)) throw wrong(place, "an object");
    return new Map([...value].map(([key, item]) => [key, decode(item, `${place}.${key}`)]));
  };
}

export function lazy(value: Json, place: string): LazyObject {
  if (value instanceof LazyObject) return value;
  throw wrong(place, "an object");
}

/** A value of a closed list of numbers. */
export function choice<T>(values: readonly T[]): Decode<T> {
  return (value, place) => {
    const found = typeof value === "number" ? values[value] : undefined;
    if (found === undefined)
      throw unsupported(`the exported program has an unknown ${place}`, { given: String(value) });
    return found;
  };
}

/** A union: an object with one member, whose key says which kind it is. An unknown kind is refused by name. */
export function union<T>(kinds: ReadonlyMap<string, Decode<T>>): Decode<T> {
  return (value, place) => {
    const members = value instanceof Map ? [...value].filter(([, member]) => member !== null) : [];
    const [kind, member] = members[0] ?? [];
    if (members.length !== 1 || kind === undefined || member === undefined)
      throw wrong(place, "an object with one member");
    const decode = kinds.get(kind);
    if (decode === undefined) {
      throw unsupported(`the exported program has a ${place} of an unknown kind`, {
        given: quoted(kind),
        expected: [...kinds.keys()].join(", "),
      });
    }
    return decode(member, `${place}.${kind}`);
  };
}
