/** The datatypes of the Open Inference Protocol v2, and how JavaScript holds each. */

interface ArrayTypes {
  readonly Float32Array: Float32Array;
  readonly Float64Array: Float64Array;
  readonly Int8Array: Int8Array;
  readonly Int16Array: Int16Array;
  readonly Int32Array: Int32Array;
  readonly BigInt64Array: BigInt64Array;
  readonly Uint8Array: Uint8Array;
  readonly Uint16Array: Uint16Array;
  readonly Uint32Array: Uint32Array;
  readonly BigUint64Array: BigUint64Array;
}

type ArrayName = keyof ArrayTypes;

interface Row {
  /** The typed array of its elements; null for texts. FP16 and BF16 travel as bit patterns, BOOL as bytes 0 and 1. */
  readonly array: ArrayName | null;
  /** Bytes an element; 0 for texts, each of which has a length of its own. */
  readonly bytes: number;
  /** What a plain array of values holds; null: none is taken, because the bits would have to be guessed. */
  readonly plain: "number" | "bigint" | "boolean" | "string" | null;
}

// biome-ignore format: a table is read by columns
export const DATATYPES = {
  BOOL:   { array: "Uint8Array",     bytes: 1, plain: "boolean" },
  UINT8:  { array: "Uint8Array",     bytes: 1, plain: "number" },
  UINT16: { array: "Uint16Array",    bytes: 2, plain: "number" },
  UINT32: { array: "Uint32Array",    bytes: 4, plain: "number" },
  UINT64: { array: "BigUint64Array", bytes: 8, plain: "bigint" },
  INT8:   { array: "Int8Array",      bytes: 1, plain: "number" },
  INT16:  { array: "Int16Array",     bytes: 2, plain: "number" },
  INT32:  { array: "Int32Array",     bytes: 4, plain: "number" },
  INT64:  { array: "BigInt64Array",  bytes: 8, plain: "bigint" },
  FP16:   { array: "Uint16Array",    bytes: 2, plain: null },
  BF16:   { array: "Uint16Array",    bytes: 2, plain: null },
  FP32:   { array: "Float32Array",   bytes: 4, plain: "number" },
  FP64:   { array: "Float64Array",   bytes: 8, plain: "number" },
  BYTES:  { array: null,             bytes: 0, plain: "string" },
} as const satisfies Record<string, Row>;

/** A datatype by its name in the protocol. */
export type Datatype = keyof typeof DATATYPES;

interface PlainTypes {
  readonly number: number;
  readonly bigint: bigint;
  readonly boolean: boolean;
  readonly string: string;
}

/** Elements of an answer, row-major: a typed array, or texts. */
export type ElementsOf<D extends Datatype> = (typeof DATATYPES)[D]["array"] extends infer A
  ? A extends ArrayName
    ? ArrayTypes[A]
    : readonly string[]
  : never;

/** Elements that a request takes: those of an answer, or a plain array of values. */
export type GivenElements<D extends Datatype> =
  | ElementsOf<D>
  | ((typeof DATATYPES)[D]["plain"] extends infer P
      ? P extends keyof PlainTypes
        ? readonly PlainTypes[P][]
        : never
      : never);

/** True for a name of the table. */
export function isDatatype(name: unknown): name is Datatype {
  return typeof name === "string" && Object.hasOwn(DATATYPES, name);
}

/** The row of a datatype, with the types that all rows share. */
function datatypeRow(name: Datatype): Row {
  return DATATYPES[name];
}

const LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

/** Elements as the protocol's bytes: little-endian, texts each after its length in four bytes. Throws TypeError. */
export function encodeElements(datatype: Datatype, elements: GivenElements<Datatype>): Uint8Array {
  const { array } = datatypeRow(datatype);
  if (array === null) return encodeTexts(elements);
  const Elements = globalThis[array];
  if (ArrayBuffer.isView(elements)) {
    if (!(elements instanceof Elements)) {
      throw new TypeError(
        `${datatype} is carried by ${array}, and the elements are ${elements.constructor.name}; convert them first`,
      );
    }
    const bytes = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
    return LITTLE_ENDIAN ? bytes : swapped(bytes, elements.BYTES_PER_ELEMENT);
  }
  const made = fromPlain(datatype, elements);
  const bytes = new Uint8Array(made.buffer);
  return LITTLE_ENDIAN ? bytes : swapped(bytes, made.BYTES_PER_ELEMENT);
}

/** Plain values in the typed array of a datatype that is none of texts. Throws TypeError for one that it cannot hold. */
function fromPlain(datatype: Datatype, values: readonly unknown[]): ArrayTypes[ArrayName] {
  const { array, plain } = datatypeRow(datatype);
  if (plain === null) {
    throw new TypeError(`${datatype} takes its bit patterns in ${array}, not a plain array`);
  }
  const wrong = values.findIndex((value) => typeof value !== plain);
  if (wrong >= 0) {
    throw new TypeError(
      `${datatype} takes values of type ${plain}, and element ${wrong} is of type ${typeof values[wrong]}`,
    );
  }
  if (plain === "bigint") {
    const given = values as readonly bigint[]; // looked at above, as below
    return kept(datatype, globalThis[array as "BigInt64Array"].from(given), given);
  }
  const given = values as readonly number[];
  const made = globalThis[array as "Float64Array"].from(given, Number);
  return plain === "boolean" || datatype.startsWith("FP") ? made : kept(datatype, made, given);
}

/** `made` if it holds the integers that were given. */
function kept<T extends bigint | number, A extends { readonly [i: number]: T }>(
  datatype: Datatype,
  made: A,
  given: readonly T[],
): A {
  const lost = given.findIndex((value, i) => made[i] !== value);
  if (lost < 0) return made;
  throw new TypeError(`${datatype} cannot hold ${given[lost]}, which is element ${lost}`);
}

/** Elements of an answer from their bytes; a view on them where the alignment allows it. Throws RangeError. */
export function decodeElements(datatype: Datatype, bytes: Uint8Array, count: number): ElementsOf<Datatype> {
  const { array, bytes: size } = datatypeRow(datatype);
  if (array === null) return decodeTexts(bytes, count);
  if (bytes.length !== count * size) {
    throw new RangeError(`${count} elements of ${datatype} are ${count * size} bytes, not ${bytes.length}`);
  }
  const own = LITTLE_ENDIAN ? bytes : swapped(bytes, size);
  const aligned = own.byteOffset % size === 0 ? own : own.slice();
  return new globalThis[array](aligned.buffer as ArrayBuffer, aligned.byteOffset, count);
}

/** Elements of an answer from a JSON array. Throws RangeError for their number, TypeError for a value that does not fit. */
export function elementsFromJson(
  datatype: Datatype,
  values: readonly unknown[],
  count: number,
): ElementsOf<Datatype> {
  const { array, plain } = datatypeRow(datatype);
  if (values.length !== count) throw new RangeError(`${count} elements expected, ${values.length} came`);
  if (array === null) {
    return values.map((value, i) => {
      if (typeof value !== "string") throw new TypeError(`element ${i} of BYTES is of type ${typeof value}`);
      return value;
    });
  }
  // Some servers write 1 for true. Of integers beyond 2^53, JSON has lost what they were.
  if (plain === "boolean")
    return fromPlain(
      datatype,
      values.map((value) => (value === 0 || value === 1 ? value === 1 : value)),
    );
  if (plain === "bigint")
    return fromPlain(
      datatype,
      values.map((value) => (Number.isSafeInteger(value) ? BigInt(value as number) : value)),
    );
  return fromPlain(datatype, values);
}

function encodeTexts(texts: GivenElements<Datatype>): Uint8Array {
  if (ArrayBuffer.isView(texts)) {
    throw new TypeError(`BYTES takes an array of texts, not ${texts.constructor.name}`);
  }
  const encoder = new TextEncoder();
  const parts = texts.map((text, i) => {
    if (typeof text !== "string") {
      throw new TypeError(`BYTES takes texts, and element ${i} is of type ${typeof text}`);
    }
    return encoder.encode(text);
  });
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + 4 + part.length, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const part of parts) {
    view.setUint32(at, part.length, true);
    bytes.set(part, at + 4);
    at += 4 + part.length;
  }
  return bytes;
}

function decodeTexts(bytes: Uint8Array, count: number): readonly string[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const decoder = new TextDecoder();
  const texts: string[] = [];
  let at = 0;
  while (at + 4 <= bytes.length && texts.length < count) {
    const end = at + 4 + view.getUint32(at, true);
    if (end > bytes.length) break;
    texts.push(decoder.decode(bytes.subarray(at + 4, end)));
    at = end;
  }
  if (texts.length !== count || at !== bytes.length) {
    throw new RangeError(`${bytes.length} bytes do not hold exactly ${count} texts`);
  }
  return texts;
}

function swapped(bytes: Uint8Array, size: number): Uint8Array {
  const copy = bytes.slice();
  if (size === 1) return copy;
  for (let at = 0; at < copy.length; at += size) copy.subarray(at, at + size).reverse();
  return copy;
}
