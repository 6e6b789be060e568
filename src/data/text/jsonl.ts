/** JSON lines: an object a line; objects in objects are columns `outer.inner`, long integers stay exact. */
import { TenonError } from "../../base/index.js";
import type { ColumnType, FieldType } from "../column.js";
import { type Builder, jsonText } from "./builder.js";
import { checkUtf8, lineOf, type Place } from "./csv.js";

/** A column's place in the objects of the lines. */
export interface JsonColumn {
  readonly name: string;
  readonly path: readonly string[];
  /** What text cells are made of: texts alone, JSON of objects and lists alone, or both, as the caller asked. */
  readonly holds: "any" | "text" | "json";
}

type JsonObject = Readonly<Record<string, unknown>>;

/** Deeper objects are refused: their names would be too long to be of use. */
const MAX_DEPTH = 32;

/** Calls `row` for each line's object. Throws FILE_INVALID. */
function forEachObject(
  bytes: Uint8Array,
  place: Place,
  row: (object: JsonObject, from: number) => void,
): void {
  checkUtf8(bytes, place);
  const { ascii, long } = survey(bytes);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const whole = ascii ? buffer.toString("latin1") : undefined;
  for (let from = 0; from < bytes.length; ) {
    const found = bytes.indexOf(10, from);
    const to = found < 0 ? bytes.length : found;
    const line = whole === undefined ? buffer.toString("utf8", from, to) : whole.substring(from, to);
    if (line.trim() !== "") row(parseLine(line, long, bytes, from, place), from);
    from = to + 1;
  }
}

/** Whether all bytes are ASCII, and whether there may be integers that a double does not hold. */
function survey(bytes: Uint8Array): { ascii: boolean; long: boolean } {
  let or = 0;
  let digits = 0;
  let most = 0;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    or |= byte;
    if (byte >= 48 && byte <= 57) digits++;
    else {
      if (digits > most) most = digits;
      digits = 0;
    }
  }
  return { ascii: or < 128, long: Math.max(most, digits) >= 16 };
}

function parseLine(line: string, long: boolean, bytes: Uint8Array, from: number, place: Place): JsonObject {
  let value: unknown;
  try {
    value = long && /[0-9]{16}/.test(line) ? parseExactly(line) : JSON.parse(line);
  } catch (cause) {
    throw wrong("a line is no JSON", bytes, from, place, cause);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong("a line is no JSON object", bytes, from, place);
  return value as JsonObject; // an object of JSON
}

const LONG = "\u0000long";
const LONG_JSON = JSON.stringify(LONG);
/** A string, or an integer of 16 digits and more. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?[0-9]{16,}(?![0-9.eE])/g;

/** JSON whose long integers become bigints: they travel through the parser as marked objects. */
function parseExactly(line: string): unknown {
  // A fraction's digits follow its point, and are no integer.
  const marked = line.replace(TOKEN, (token, at: number) =>
    token.startsWith('"') || /[0-9.eE+]/.test(line[at - 1] ?? "") ? token : `{${LONG_JSON}:"${token}"}`,
  );
  return JSON.parse(marked, (_, value: unknown) => {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, LONG)) return value;
    const whole = BigInt((value as Record<string, string>)[LONG]!);
    return BigInt(Number(whole)) === whole && Number.isSafeInteger(Number(whole)) ? Number(whole) : whole;
  });
}

/** The columns of the objects of a block, with the types that all of their values have. */
export class JsonTypes {
  readonly #found = new Map<string, { readonly path: readonly string[]; seen: Kind; line: () => number }>();
  readonly #given: ReadonlyMap<string, FieldType>;
  readonly #place: Place;

  constructor(given: ReadonlyMap<string, FieldType>, place: Place) {
    this.#given = given;
    this.#place = place;
  }

  add(bytes: Uint8Array): void {
    forEachObject(bytes, this.#place, (object, from) =>
      this.#walk(object, [], () => lineOf(bytes, from, this.#place)),
    );
  }

  #walk(object: JsonObject, path: readonly string[], line: () => number): void {
    if (path.length > MAX_DEPTH)
      throw new TenonError("FILE_INVALID", {
        problem: "objects within objects are too deep",
        given: `${this.#place.file}, line ${line()}`,
        expected: `at most ${MAX_DEPTH} levels`,
      });
    for (const key in object) {
      const value = object[key];
      const inner = [...path, key];
      const name = inner.join(".");
      if (isObject(value) && !this.#given.has(name)) {
        this.#walk(value, inner, line);
        continue;
      }
      const before = this.#found.get(name);
      const seen = this.#given.has(name) ? "null" : merge(before?.seen ?? "null", kindOf(value));
      if (before === undefined) this.#found.set(name, { path: inner, seen, line });
      else if (before.path.length !== inner.length)
        throw new TenonError("FILE_INVALID", {
          problem: `two columns have the name "${name}"`,
          given: this.#place.file,
        });
      else if (typeof seen === "string" && seen === "mixed" && before.seen !== "mixed")
        throw new TenonError("FILE_INVALID", {
          problem: `values of column "${name}" differ in type`,
          given: `${this.#place.file}, line ${line()}`,
          do: `give its type: types: { ${JSON.stringify(name)}: "utf8" } keeps each value's JSON`,
          details: { column: name, line: line() },
        });
      else before.seen = seen;
    }
  }

  /** Columns in the order of their first values. */
  finish(): { columns: JsonColumn[]; schema: Map<string, FieldType> } {
    const columns: JsonColumn[] = [];
    const schema = new Map<string, FieldType>();
    const outer = new Set([...this.#found.values()].flatMap(({ path }) => prefixes(path)));
    for (const [name, { path, seen }] of this.#found) {
      // A null where other lines have an object.
      if (seen === "null" && outer.has(name) && !this.#given.has(name)) continue;
      const holds = this.#given.has(name) ? "any" : seen === "json" ? "json" : "text";
      columns.push({ name, path, holds });
      schema.set(name, this.#given.get(name) ?? { dtype: typeOfKind(seen), nullable: true });
    }
    for (const [name, field] of this.#given) {
      if (schema.has(name)) continue;
      columns.push({ name, path: name.split("."), holds: "any" });
      schema.set(name, field);
    }
    return { columns, schema };
  }
}

/** `a.b.c` → `a`, `a.b`. */
function prefixes(path: readonly string[]): string[] {
  return path.slice(1).map((_, i) => path.slice(0, i + 1).join("."));
}

/** `special`: NaN and infinities, which JSON has only as texts. */
type Kind =
  | "null"
  | "int"
  | "float"
  | "special"
  | "bool"
  | "text"
  | "json"
  | "mixed"
  | { readonly list: Kind };

function isObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function kindOf(value: unknown): Kind {
  if (value === null) return "null";
  if (typeof value === "bigint") return BigInt.asIntN(64, value) === value ? "int" : "float";
  if (typeof value === "number")
    return Number.isSafeInteger(value) && !Object.is(value, -0) ? "int" : "float";
  if (typeof value === "boolean") return "bool";
  if (typeof value === "string") return /^(NaN|-?Infinity)$/.test(value) ? "special" : "text";
  if (!Array.isArray(value)) return "json";
  const inner = value.map(kindOf).reduce(merge, "null");
  // Lists of objects, or of values of several types, stay JSON.
  return inner === "json" || inner === "mixed" ? "json" : { list: inner };
}

const NUMBERS: ReadonlySet<string> = new Set(["int", "float", "special"]);
const TEXTS: ReadonlySet<string> = new Set(["text", "special"]);

function merge(a: Kind, b: Kind): Kind {
  if (a === "null") return b;
  if (b === "null" || a === b) return a;
  if (typeof a === "object" && typeof b === "object") {
    const list = merge(a.list, b.list);
    return list === "mixed" || list === "json" ? "json" : { list };
  }
  if ((a === "json" && typeof b === "object") || (b === "json" && typeof a === "object")) return "json";
  if (typeof a === "object" || typeof b === "object") return "mixed";
  if (NUMBERS.has(a) && NUMBERS.has(b)) return "float";
  return TEXTS.has(a) && TEXTS.has(b) ? "text" : "mixed";
}

function typeOfKind(kind: Kind): ColumnType {
  if (typeof kind === "object") return { list: typeOfKind(kind.list) };
  const types = { int: "int64", float: "float64", bool: "bool" } as const;
  return kind === "int" || kind === "float" || kind === "bool" ? types[kind] : "utf8";
}

/** Reads the lines of a block into builders. With `all`, a key that is no column is refused, so that nothing is lost. */
export function parseLines(
  bytes: Uint8Array,
  columns: readonly (JsonColumn & { readonly builder: Builder })[],
  known: ReadonlySet<string> | null,
  place: Place,
): void {
  forEachObject(bytes, place, (object, from) => {
    if (known !== null) checkKeys(object, "", known, bytes, from, place);
    for (const { name, path, holds, builder } of columns) {
      let value: unknown = object;
      for (const key of path) {
        if (value === undefined || value === null) break;
        if (!isObject(value)) throw unfit(name, value, bytes, from, place);
        value = Object.hasOwn(value, key) ? value[key] : undefined;
      }
      if (value === undefined || value === null) builder.putNull();
      else if (builder.text && holds !== "any" && (typeof value === "string") !== (holds === "text"))
        throw unfit(name, value, bytes, from, place);
      else if (!builder.putValue(value)) throw unfit(name, value, bytes, from, place);
    }
  });
}

function checkKeys(
  object: JsonObject,
  prefix: string,
  known: ReadonlySet<string>,
  bytes: Uint8Array,
  from: number,
  place: Place,
): void {
  for (const key in object) {
    const name = prefix + key;
    if (known.has(name)) continue;
    const value = object[key];
    if (isObject(value)) checkKeys(value, `${name}.`, known, bytes, from, place);
    else if (value !== null)
      throw new TenonError("FILE_INVALID", {
        problem: `a line has a key "${name}" that the first lines of the file do not have`,
        given: `${place.file}, line ${lineOf(bytes, from, place)}`,
        do: `name it in types, or select the columns that are wanted`,
        details: { column: name },
      });
  }
}

function unfit(column: string, value: unknown, bytes: Uint8Array, from: number, place: Place): TenonError {
  const line = lineOf(bytes, from, place);
  return new TenonError("FILE_INVALID", {
    problem: `a value of column "${column}" is not of its type`,
    given: `${jsonText(value).slice(0, 80)} in ${place.file}, line ${line}`,
    do: `give the column another type: types: { ${JSON.stringify(column)}: "float64" }`,
    details: { column, line },
  });
}

function wrong(problem: string, bytes: Uint8Array, from: number, place: Place, cause?: unknown): TenonError {
  const line = lineOf(bytes, from, place);
  return new TenonError("FILE_INVALID", {
    problem,
    given: `${place.file}, line ${line}`,
    expected: 'an object a line, such as {"x": 1.5}',
    details: { line },
    cause,
  });
}
