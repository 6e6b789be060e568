/** Tables of protobuf messages: each field's number and kind, from which the codec and the TypeScript types follow. */

/** Scalars of proto3, by the names of .proto files. */
export type ScalarKind =
  | "bool"
  | "int32"
  | "int64"
  | "uint32"
  | "uint64"
  | "float"
  | "double"
  | "string"
  | "bytes";

/** The names of an enum by their numbers. */
export interface EnumType {
  readonly name: string;
  readonly names: readonly string[];
}

type FieldKind = ScalarKind | EnumType | MessageType<Fields>;

/** One field. `T` is the type of its value and exists for the compiler only. */
export interface Field<T = unknown> {
  readonly number: number;
  readonly kind: FieldKind;
  readonly repeated: boolean;
  /** Kind of the keys of a map field; its entries are messages of `key` 1 and `value` 2. */
  readonly key: ScalarKind | undefined;
  /** Fields of one oneof: at most one is set, and "not set" differs from the default. */
  readonly oneof: string | undefined;
  readonly value?: T;
}

export type Fields = Readonly<Record<string, Field>>;

/** One message. */
export interface MessageType<F extends Fields> {
  /** Its name within its package. */
  readonly name: string;
  readonly fields: F;
  /** Fields by number, with their names. */
  readonly byNumber: ReadonlyMap<number, NamedField>;
  readonly list: readonly NamedField[];
}

export interface NamedField extends Field {
  readonly name: string;
}

/** Integers are numbers while they are safe, bigints beyond. */
export type Int = number | bigint;

interface Scalars {
  bool: boolean;
  int32: number;
  int64: Int;
  uint32: number;
  uint64: Int;
  float: number;
  double: number;
  string: string;
  bytes: Uint8Array;
}

/** What a field of this kind holds. */
type ValueOf<K> = K extends ScalarKind
  ? Scalars[K]
  : K extends EnumType
    ? string | number
    : K extends MessageType<infer F>
      ? Decoded<F>
      : never;

type FieldValue<F> = F extends Field<infer T> ? T : never;

/** A message as it is read: every field is there, those not sent with their defaults. */
export type Decoded<F extends Fields> = { [K in keyof F]: FieldValue<F[K]> };
export type DecodedOf<M> = M extends MessageType<infer F> ? Decoded<F> : never;

/** A message as it is written: what is left out is not sent. */
export type Written<T> = T extends Uint8Array
  ? T
  : T extends ReadonlyMap<infer K, infer V>
    ? ReadonlyMap<K, Written<V>>
    : T extends readonly (infer E)[]
      ? readonly Written<E>[]
      : T extends object
        ? { readonly [K in keyof T]?: Written<T[K]> | undefined }
        : T;

type Single<K> = K extends MessageType<Fields> ? ValueOf<K> | undefined : ValueOf<K>;

/** A field with at most one value. */
export function one<const K extends FieldKind>(number: number, kind: K): Field<Single<K>> {
  return { number, kind, repeated: false, key: undefined, oneof: undefined };
}

/** A field of a oneof. */
export function oneOf<const K extends FieldKind>(
  number: number,
  kind: K,
  oneof: string,
): Field<ValueOf<K> | undefined> {
  return { number, kind, repeated: false, key: undefined, oneof };
}

/** A repeated field. */
export function many<const K extends FieldKind>(number: number, kind: K): Field<ValueOf<K>[]> {
  return { number, kind, repeated: true, key: undefined, oneof: undefined };
}

/** A map. */
export function mapOf<const I extends "string" | "uint64", const K extends FieldKind>(
  number: number,
  key: I,
  kind: K,
): Field<Map<Scalars[I], ValueOf<K>>> {
  return { number, kind, repeated: true, key, oneof: undefined };
}

/** The table of one message. */
export function message<F extends Fields>(name: string, fields: F): MessageType<F> {
  const list = Object.entries(fields).map(([fieldName, field]) => ({ ...field, name: fieldName }));
  return { name, fields, list, byNumber: new Map(list.map((field) => [field.number, field])) };
}

/** An enum whose numbers count from 0. */
export function enumOf(name: string, ...names: readonly string[]): EnumType {
  return { name, names };
}

export function isEnum(kind: FieldKind): kind is EnumType {
  return typeof kind === "object" && "names" in kind;
}

export function isMessage(kind: FieldKind): kind is MessageType<Fields> {
  return typeof kind === "object" && "fields" in kind;
}
